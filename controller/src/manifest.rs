//! Manifests: in comes a directory of YAML files, out come Rollouts with the Services and
//! templates they name, or everything that is wrong, each with file, document and field.

mod analyses;
pub mod expand;
pub mod pod;
pub mod service;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use serin_core::analysis::{LocalSecrets, Template};
use serin_core::field::{Field, FieldErrors, Report};
use serin_core::plan::{Plan, Router};

use pod::Pod;
use service::Service;
use yaml::Document;

/// The namespace of documents that name none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// An object's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// All that a directory asks for.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// The Rollouts in the order of the files and of the documents in them.
    pub rollouts: Vec<Rollout>,
    /// AnalysisTemplates.
    pub templates: BTreeMap<Key, Template>,
    /// ClusterAnalysisTemplates.
    pub cluster_templates: BTreeMap<String, Template>,
    /// What was left alone. What is left out of a Rollout is among its plan's notices.
    pub notices: Vec<String>,
}

/// A Rollout with what it names.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Where it is called.
    pub key: Key,
    /// The document as written, for `fieldRef` arguments and for going back to older templates.
    pub document: Value,
    /// Its plan.
    pub plan: Plan,
    /// Its pod template, read.
    pub pod: Pod,
    /// The Service that callers name, if there is one.
    pub stable: Option<Service>,
    /// The canary's Service, if there is one.
    pub canary: Option<Service>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} document {document}: {message}")]
pub struct ManifestError {
    /// The file's name in the directory.
    pub file: String,
    /// The document in the file, 1 for the first.
    pub document: usize,
    /// The field, its value and what is accepted; the line where YAML itself is wrong.
    pub message: String,
}

/// Everything that is wrong with a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestErrors(pub Vec<ManifestError>);

impl std::error::Error for ManifestErrors {}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Manifests {
    /// The templates that a Rollout in `namespace` may refer to.
    pub fn templates_for(&self, namespace: &str) -> Vec<Template> {
        let own = self
            .templates
            .iter()
            .filter(|(key, _)| key.namespace == namespace);
        own.map(|(_, template)| template)
            .chain(self.cluster_templates.values())
            .cloned()
            .collect()
    }
}

/// The names and texts of the `*.yaml` and `*.yml` files in `dir`, by name.
///
/// # Errors
/// If the directory or one of them cannot be read.
pub fn texts(dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    yaml::files(dir).with_context(|| format!("read {}", dir.display()))
}

/// Reads files given as name and text, whose analyses find Secrets in `secrets`.
///
/// # Errors
/// All that is wrong, in the order of the files.
pub fn parse(
    files: &[(String, String)],
    secrets: LocalSecrets,
) -> Result<Manifests, ManifestErrors> {
    let mut reader = Reader {
        secrets,
        ..Reader::default()
    };
    for (file, text) in files {
        for document in yaml::documents(file, text) {
            match document {
                Ok(document) => reader.take(document),
                Err(error) => reader.errors.push(error),
            }
        }
    }
    reader.finish()
}

/// The plans of the Rollouts in files given as name and text; all else is left alone.
///
/// # Errors
/// All that is wrong with the files and the Rollouts, in the order of the files.
pub fn plans(files: &[(String, String)]) -> Result<Vec<Plan>, ManifestErrors> {
    let (mut plans, mut errors) = (Vec::new(), Vec::new());
    for (file, text) in files {
        for document in yaml::documents(file, text) {
            let document = match document {
                Ok(document) if document.value["kind"] == "Rollout" => document,
                Ok(_) => continue,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            match Plan::parse(&document.value, DEFAULT_NAMESPACE) {
                Ok(plan) => plans.push(plan),
                Err(FieldErrors(wrong)) => {
                    errors.extend(wrong.iter().map(|error| document.error(error)));
                }
            }
        }
    }
    match errors.is_empty() {
        true => Ok(plans),
        false => Err(ManifestErrors(errors)),
    }
}

/// Documents by kind, as far as they could be read.
#[derive(Default)]
struct Reader {
    secrets: LocalSecrets,
    rollouts: Vec<(Document, Plan)>,
    services: BTreeMap<Key, Service>,
    seen: BTreeMap<(String, Key), String>,
    /// Services and the Rollout that each belongs to.
    owners: BTreeMap<Key, Key>,
    /// Hosts and the Rollout that names each.
    hosts: BTreeMap<String, Key>,
    manifests: Manifests,
    errors: Vec<ManifestError>,
}

impl Reader {
    fn take(&mut self, document: Document) {
        let text = |name: &str| document.value[name].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion").to_string(), text("kind").to_string());
        let wanted = match kind.as_str() {
            "Rollout" | "AnalysisTemplate" | "ClusterAnalysisTemplate" => "argoproj.io/v1alpha1",
            "Service" => "v1",
            "" => {
                return self.refuse(
                    &document,
                    "kind: is missing, expected Rollout, Service or AnalysisTemplate",
                );
            }
            other => {
                let name = document.value["metadata"]["name"]
                    .as_str()
                    .unwrap_or("without name");
                let why = match other {
                    "Secret" => "local mode takes Secrets from the file of --secrets",
                    _ => "local mode has no use for its kind",
                };
                self.manifests.notices.push(format!(
                    "{}: {other} {name} is left alone, {why}",
                    document.file
                ));
                return;
            }
        };
        if version != wanted {
            let shown = serin_core::field::shown(&document.value["apiVersion"]);
            return self.refuse(
                &document,
                format!("apiVersion: is {shown}, expected {wanted}"),
            );
        }
        let key = match key(&document.value) {
            Ok(key) => key,
            Err(errors) => return self.refuse_all(&document, &errors),
        };
        let first = self.seen.entry((kind.clone(), key.clone()));
        let place = format!("{} document {}", document.file, document.number);
        if let std::collections::btree_map::Entry::Occupied(first) = &first {
            let message = format!("metadata.name: {kind} {key} is in {} already", first.get());
            return self.refuse(&document, message);
        }
        first.or_insert(place);
        self.read(document, &kind, key);
    }

    fn read(&mut self, document: Document, kind: &str, key: Key) {
        match kind {
            "Rollout" => {
                let plan = Plan::parse(&document.value, DEFAULT_NAMESPACE);
                match plan.and_then(Plan::without_cluster) {
                    Ok(plan) => self.rollouts.push((document, plan)),
                    Err(errors) => self.refuse_all(&document, &errors),
                }
            }
            "Service" => match Service::parse(&document.value) {
                Ok(service) => {
                    self.services.insert(key, service);
                }
                Err(errors) => self.refuse_all(&document, &errors),
            },
            cluster_or_not => match Template::parse(&document.value) {
                Ok(template) if cluster_or_not == "AnalysisTemplate" => {
                    self.manifests.templates.insert(key, template);
                }
                Ok(template) => {
                    self.manifests.cluster_templates.insert(key.name, template);
                }
                Err(errors) => self.refuse_all(&document, &errors),
            },
        }
    }

    fn refuse(&mut self, document: &Document, message: impl fmt::Display) {
        self.errors.push(document.error(message));
    }

    fn refuse_all(&mut self, document: &Document, errors: &FieldErrors) {
        for error in &errors.0 {
            self.refuse(document, error);
        }
    }

    /// Joins Rollouts with what they name.
    fn finish(mut self) -> Result<Manifests, ManifestErrors> {
        let rollouts = std::mem::take(&mut self.rollouts);
        for (document, plan) in &rollouts {
            self.own(document, plan);
        }
        let plans = rollouts.iter().map(|(_, plan)| plan);
        if self.errors.is_empty()
            && let Err(errors) = serin_core::plan::check_together(plans)
            && let Some((document, _)) = rollouts.last()
        {
            for error in &errors.0 {
                let message = format!("the Rollouts together: {error} (in one proxy)");
                self.refuse(document, message);
            }
        }
        for (document, plan) in rollouts {
            match self.join(&document, plan) {
                Ok(rollout) => self.manifests.rollouts.push(rollout),
                Err(errors) => self.refuse_all(&document, &errors),
            }
        }
        if self.errors.is_empty() {
            Ok(self.manifests)
        } else {
            let place = |error: &ManifestError| (error.file.clone(), error.document);
            self.errors.sort_by_key(place);
            Err(ManifestErrors(self.errors))
        }
    }

    /// A Service leads to one Rollout, and so does a host: two would each route the other's requests.
    fn own(&mut self, document: &Document, plan: &Plan) {
        let key = |name: &String| Key {
            namespace: plan.namespace.clone(),
            name: name.clone(),
        };
        let rollout = key(&plan.name);
        for (field, service) in [
            ("stableService", &plan.stable_service),
            ("canaryService", &plan.canary_service),
        ] {
            let Some(service) = service.as_ref().map(key) else {
                continue;
            };
            let owner = self.owners.entry(service).or_insert(rollout.clone());
            if *owner != rollout {
                let message = format!(
                    "spec.strategy.canary.{field}: is a Service that Rollout {owner} has already, \
                     expected one of Rollout {rollout}'s own"
                );
                self.refuse(document, message);
            }
        }
        let Router::Wasm(wasm) = &plan.router else {
            return;
        };
        for (i, host) in wasm.hosts.iter().enumerate() {
            let owner = self.hosts.entry(host.to_lowercase());
            let owner = owner.or_insert(rollout.clone()).clone();
            if owner != rollout {
                let message = format!(
                    "spec.strategy.canary.trafficRouting.plugins[serin/wasm].hosts[{i}]: is \
                     {host:?}, which Rollout {owner} has already, expected one of Rollout \
                     {rollout}'s own"
                );
                self.refuse(document, message);
            }
        }
    }

    fn join(&mut self, document: &Document, mut plan: Plan) -> Result<Rollout, FieldErrors> {
        let report = Report::default();
        let pod = match Pod::parse(&plan.template) {
            Ok((pod, notices)) => {
                plan.notices.extend(notices);
                Some(pod)
            }
            Err(errors) => {
                for error in errors.0 {
                    report.add(error.path, error.message);
                }
                None
            }
        };
        let stable = plan.stable_service.clone();
        let canary = plan.canary_service.clone();
        let stable = self.service(
            "stableService",
            stable.as_deref(),
            &plan,
            pod.as_ref(),
            &report,
        );
        let canary = self.service(
            "canaryService",
            canary.as_deref(),
            &plan,
            pod.as_ref(),
            &report,
        );
        let stable = stable.or_else(|| self.selecting(&plan.namespace, pod.as_ref()?));
        for service in [&stable, &canary].into_iter().flatten() {
            plan.notices.extend(service.unserved());
        }
        self.templates(&document.value, &plan, &report);
        let traps = self.traps(&plan);
        plan.notices.extend(traps);
        let rollout = pod.map(|pod| Rollout {
            key: Key {
                namespace: plan.namespace.clone(),
                name: plan.name.clone(),
            },
            document: document.value.clone(),
            plan,
            pod,
            stable,
            canary,
        });
        report.finish(rollout)
    }

    /// The Service that a Rollout names, which must select the Rollout's pods.
    fn service(
        &self,
        field: &str,
        name: Option<&str>,
        plan: &Plan,
        pod: Option<&Pod>,
        report: &Report,
    ) -> Option<Service> {
        let key = Key {
            namespace: plan.namespace.clone(),
            name: name?.to_string(),
        };
        let path = format!("spec.strategy.canary.{field}");
        let refused = self
            .seen
            .contains_key(&("Service".to_string(), key.clone()));
        let Some(service) = self.services.get(&key) else {
            if !refused {
                report.add(&path, missing_service(&key, pod));
            }
            return None;
        };
        let pod = pod?;
        if let Some((label, value)) = service.unmatched(&pod.labels) {
            report.add(
                &path,
                format_args!(
                    "Service {key} selects {label}={value}, which spec.template.metadata.labels \
                     does not have (the Service would reach no pod of this Rollout)"
                ),
            );
        }
        if let Err(message) = service.target(&pod.ports) {
            report.add(&path, format_args!("Service {key}: {message}"));
        }
        Some(service.clone())
    }

    /// Where a Rollout names no Service, callers may still use one that selects its pods.
    fn selecting(&self, namespace: &str, pod: &Pod) -> Option<Service> {
        let mut inside = self
            .services
            .iter()
            .filter(|(key, _)| key.namespace == namespace && !self.owners.contains_key(*key));
        inside
            .find(|(_, service)| {
                service.unmatched(&pod.labels).is_none() && service.target(&pod.ports).is_ok()
            })
            .map(|(_, service)| service.clone())
    }
}

/// What is missing, and the document that would be enough.
fn missing_service(key: &Key, pod: Option<&Pod>) -> String {
    let labels = pod.map(|pod| pod.labels.clone()).unwrap_or_default();
    let selector = labels.iter().next().map_or_else(
        || "the pods' labels".to_string(),
        |(label, value)| format!("{{{label}: {value}}}"),
    );
    format!(
        "is {:?}, expected the name of a Service in these files (add one in namespace {}: kind \
         Service, metadata.name {}, spec.selector {selector}, spec.ports [{{port: 80}}])",
        key.name, key.namespace, key.name
    )
}

fn key(document: &Value) -> Result<Key, FieldErrors> {
    let report = Report::default();
    let root = Field::root("", document, &report);
    let key = root
        .required("metadata", "an object with a name")
        .and_then(|metadata| {
            let name = metadata
                .required("name", "the object's name")?
                .name()?
                .to_string();
            let namespace = match metadata.optional("namespace") {
                // Objects without a namespace are one family, whatever their document says.
                _ if document["kind"] == "ClusterAnalysisTemplate" => String::new(),
                Some(namespace) => namespace.name()?.to_string(),
                None => DEFAULT_NAMESPACE.to_string(),
            };
            Some(Key { namespace, name })
        });
    report.finish(key)
}

#[cfg(test)]
mod tests;
