//! Which cluster is meant: options and the environment come in, a client's configuration goes out.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::client::{Body, ClientBuilder, DynBody};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use tower::BoxError;
use tower::util::BoxService;

use super::proxy;

/// What sends a client's requests, as the library makes it.
pub type Sender = BoxService<http::Request<Body>, http::Response<Box<DynBody>>, BoxError>;

/// What a user says of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The kubeconfig file, in place of those of the environment.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it, in place of the one in use.
    pub context: Option<String>,
}

/// Why no cluster is known. kube's errors name their cause, so they are text here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is nothing that names one.
    #[error("no cluster is known: {tried}")]
    NoCluster {
        /// Where it was looked for.
        tried: String,
    },
    /// A file cannot be read.
    #[error("{why}")]
    Kubeconfig {
        /// Which, and why.
        why: String,
    },
    /// The context is not in the files.
    #[error("context {asked:?} is unknown, expected one of {known} (in {files})")]
    UnknownContext {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
        /// Where.
        files: String,
    },
    /// The files have contexts, none of them in use.
    #[error("no context is in use in {files}, expected --context with one of {known}")]
    NoContext {
        /// What there is.
        known: String,
        /// Where.
        files: String,
    },
    /// This is a pod whose service account is of no use.
    #[error("this pod's service account: {why}")]
    InCluster {
        /// Why.
        why: String,
    },
}

/// Where a cluster may be named; apart from the options, the environment says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places {
    /// KUBECONFIG.
    variable: Option<OsString>,
    home: Option<PathBuf>,
    /// Whether this is a pod.
    in_cluster: bool,
}

/// A client for the cluster that is meant.
///
/// # Errors
/// If there is none, or what is known of it is of no use.
pub async fn client(asked: &Asked) -> Result<kube::Client, ConfigError> {
    Ok(builder(asked).await?.build())
}

/// The same, to be built.
///
/// # Errors
/// If there is none, or what is known of it is of no use.
pub async fn builder(asked: &Asked) -> Result<ClientBuilder<Sender>, ConfigError> {
    crate::http::use_ring();
    let config = config(asked).await?;
    let url = config.cluster_url.to_string();
    ClientBuilder::try_from(config).map_err(|error| ConfigError::Kubeconfig {
        why: format!("{}: {error}", url.trim_end_matches('/')),
    })
}

/// The configuration of a client for the cluster that is meant: that of the kubeconfig named, of
/// those in KUBECONFIG, of `~/.kube/config`, or of the pod that this is.
///
/// # Errors
/// If there is none, or it is of no use.
pub(super) async fn config(asked: &Asked) -> Result<Config, ConfigError> {
    let places = Places {
        variable: env::var_os("KUBECONFIG"),
        home: env::home_dir(),
        in_cluster: env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
    };
    let Some((kubeconfig, files)) = read(asked, &places)? else {
        if asked.context.is_none() && places.in_cluster {
            return Config::incluster().map_err(|error| ConfigError::InCluster {
                why: error.to_string(),
            });
        }
        return Err(ConfigError::NoCluster {
            tried: tried(&places),
        });
    };
    let context = context(asked, &kubeconfig, &files)?;
    let says_proxy = says_proxy(&kubeconfig, &context);
    let options = KubeConfigOptions {
        context: Some(context),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| ConfigError::Kubeconfig {
        why: format!("{}: {error}", names(&files)),
    })?;
    let variable = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
    let no_proxy = variable("NO_PROXY").or_else(|| variable("no_proxy"));
    let host = config.cluster_url.host().unwrap_or_default();
    // What the kubeconfig itself says of a proxy, holds.
    if !says_proxy && proxy::is_direct(host, &no_proxy.unwrap_or_default()) {
        config.proxy_url = None;
    }
    Ok(config)
}

/// The kubeconfig files in one, and where they are; none if there are none. As with kubectl, those
/// of KUBECONFIG may be missing, and the one that an option names may not.
fn read(asked: &Asked, places: &Places) -> Result<Option<(Kubeconfig, Vec<PathBuf>)>, ConfigError> {
    let files: Vec<PathBuf> = match &asked.kubeconfig {
        Some(file) => vec![file.clone()],
        None => files(places)
            .into_iter()
            .filter(|file| file.exists())
            .collect(),
    };
    if files.is_empty() {
        return Ok(None);
    }
    let mut all = Kubeconfig::default();
    for file in &files {
        let read = Kubeconfig::read_from(file).and_then(|next| all.merge(next));
        all = read.map_err(|error| unreadable(file, &error))?;
    }
    Ok(Some((all, files)))
}

fn unreadable(file: &Path, error: &KubeconfigError) -> ConfigError {
    let why = match error {
        KubeconfigError::ReadConfig(source, _) => source.to_string(),
        other => other.to_string(),
    };
    ConfigError::Kubeconfig {
        why: format!("read kubeconfig {}: {why}", file.display()),
    }
}

fn files(places: &Places) -> Vec<PathBuf> {
    let variable = places.variable.as_ref().filter(|text| !text.is_empty());
    let home = || places.home.as_ref().map(|home| home.join(".kube/config"));
    match variable {
        Some(list) => env::split_paths(list)
            .filter(|file| !file.as_os_str().is_empty())
            .collect(),
        None => home().into_iter().collect(),
    }
}

/// The context that is meant.
fn context(
    asked: &Asked,
    kubeconfig: &Kubeconfig,
    files: &[PathBuf],
) -> Result<String, ConfigError> {
    let contexts = kubeconfig.contexts.iter();
    let known: Vec<&str> = contexts.map(|context| context.name.as_str()).collect();
    let current = kubeconfig.current_context.as_ref();
    let current = current.filter(|name| !name.is_empty());
    match asked.context.as_ref().or(current) {
        Some(name) if known.contains(&name.as_str()) => Ok(name.clone()),
        Some(name) => Err(ConfigError::UnknownContext {
            asked: name.clone(),
            known: known.join(", "),
            files: names(files),
        }),
        None => Err(ConfigError::NoContext {
            known: known.join(", "),
            files: names(files),
        }),
    }
}

/// Whether the kubeconfig names a proxy for the cluster of this context.
fn says_proxy(kubeconfig: &Kubeconfig, context: &str) -> bool {
    let contexts = kubeconfig.contexts.iter();
    let mut named = contexts.filter(|named| named.name == context);
    let context = named.next().and_then(|named| named.context.as_ref());
    let clusters = kubeconfig.clusters.iter();
    let mut named = clusters.filter(|named| Some(&named.name) == context.map(|c| &c.cluster));
    let cluster = named.next().and_then(|named| named.cluster.as_ref());
    let proxy = cluster.and_then(|cluster| cluster.proxy_url.as_deref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

fn names(files: &[PathBuf]) -> String {
    let names = files.iter().map(|file| file.display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

fn tried(places: &Places) -> String {
    let files = names(&files(places));
    let kubeconfig = match (&places.variable, files.is_empty()) {
        (_, true) => "there is no home directory with a kubeconfig".to_string(),
        (Some(_), false) => format!("KUBECONFIG names {files}, which does not exist"),
        (None, false) => format!("KUBECONFIG is not set, {files} does not exist"),
    };
    match places.in_cluster {
        true => kubeconfig,
        false => format!("{kubeconfig}, and this is no pod"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TWO: &str = "\
contexts:
- {name: prod, context: {cluster: one, namespace: shop}}
- {name: test, context: {cluster: one}}
- {name: far, context: {cluster: two}}
clusters:
- {name: one, cluster: {server: 'https://one:6443'}}
- {name: two, cluster: {server: 'https://two:6443', proxy-url: 'http://proxy:3128'}}
current-context: ''
";

    fn places(variable: Option<&Path>, home: &Path) -> Places {
        Places {
            variable: variable.map(|path| path.as_os_str().to_os_string()),
            home: Some(home.to_path_buf()),
            in_cluster: false,
        }
    }

    #[test]
    fn the_file_is_the_one_named_or_those_of_the_variable_or_the_one_at_home() {
        let dir = tempfile::tempdir().unwrap();
        let (named, at_home) = (dir.path().join("named"), dir.path().join(".kube/config"));
        fs::create_dir(dir.path().join(".kube")).unwrap();
        fs::write(&named, TWO).unwrap();
        fs::write(&at_home, TWO).unwrap();
        let missing = dir.path().join("missing");
        let files = |asked: Option<&Path>, variable: Option<&Path>| {
            let asked = Asked {
                kubeconfig: asked.map(Path::to_path_buf),
                context: None,
            };
            let read = read(&asked, &places(variable, dir.path()));
            read.map(|read| read.map(|(_, files)| files))
        };
        assert_eq!(
            files(Some(&named), Some(&missing)),
            Ok(Some(vec![named.clone()]))
        );
        assert_eq!(files(None, Some(&named)), Ok(Some(vec![named.clone()])));
        let both = env::join_paths([&missing, &named]).unwrap();
        assert_eq!(files(None, Some(Path::new(&both))), Ok(Some(vec![named])));
        assert_eq!(files(None, None), Ok(Some(vec![at_home.clone()])));
        assert_eq!(files(None, Some(Path::new(""))), Ok(Some(vec![at_home])));
        assert_eq!(files(None, Some(&missing)), Ok(None));
        let error = files(Some(&missing), None).unwrap_err().to_string();
        let expected = format!("read kubeconfig {}: No such file", missing.display());
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn what_was_tried_is_said() {
        let home = Path::new("/home/ada");
        for (variable, in_cluster, expected) in [
            (
                None,
                false,
                "KUBECONFIG is not set, /home/ada/.kube/config does not exist, and this is no pod",
            ),
            (
                Some("/a:/b"),
                false,
                "KUBECONFIG names /a, /b, which does not exist, and this is no pod",
            ),
            (
                None,
                true,
                "KUBECONFIG is not set, /home/ada/.kube/config does not exist",
            ),
        ] {
            let places = Places {
                in_cluster,
                ..places(variable.map(Path::new), home)
            };
            assert_eq!(tried(&places), expected);
        }
        let nowhere = Places::default();
        assert_eq!(
            tried(&nowhere),
            "there is no home directory with a kubeconfig, and this is no pod"
        );
    }

    #[test]
    fn a_proxy_is_that_of_the_contexts_own_cluster() {
        let kubeconfig = Kubeconfig::from_yaml(TWO).unwrap();
        assert!(says_proxy(&kubeconfig, "far"));
        assert!(!says_proxy(&kubeconfig, "prod"));
        assert!(!says_proxy(&kubeconfig, "unknown"));
    }

    #[test]
    fn a_context_must_be_known() {
        let kubeconfig = Kubeconfig::from_yaml(TWO).unwrap();
        let check = |name: Option<&str>| {
            let asked = Asked {
                context: name.map(str::to_string),
                kubeconfig: None,
            };
            let checked = context(&asked, &kubeconfig, &[PathBuf::from("/a")]);
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(check(Some("prod")), Ok("prod".to_string()));
        assert_eq!(
            check(Some("live")).unwrap_err(),
            "context \"live\" is unknown, expected one of prod, test, far (in /a)"
        );
        assert_eq!(
            check(None).unwrap_err(),
            "no context is in use in /a, expected --context with one of prod, test, far"
        );
    }
}
