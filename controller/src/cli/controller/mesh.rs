//! The options about proxies, which the router serin/wasm needs.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use crate::cluster::Scope;
use crate::cluster::mesh::Settings;
use crate::mesh::objects::Owner;
use crate::mesh::proxies::Proxies;

/// How proxies are told, and who says that they heard it.
#[derive(Args, Debug)]
pub(super) struct Mesh {
    /// The Prometheus that scrapes the proxies; analyses that name none ask it too
    #[arg(long, value_name = "URL", env = "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS")]
    prometheus: Option<String>,
    /// Istio's root namespace: what is there is for all proxies of the mesh
    #[arg(long, value_name = "NAME", default_value = "istio-system")]
    root_namespace: String,
    /// Where proxies reach this controller, or another one of the same version, for the filter's
    /// module
    #[arg(long, value_name = "URL", default_value = "http://serin.serin:8090")]
    module_url: String,
    /// What selects one series of each proxy that the filter is in
    #[arg(long, value_name = "SELECTOR", default_value = "envoy_server_uptime")]
    proxies: String,
    /// How long proxies may take to run what they are told before they are named, and told anew
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    proxies_deadline: u64,
}

impl Mesh {
    /// What they say.
    ///
    /// # Errors
    /// If an option has a value that nothing can be done with.
    pub(super) fn settings(self, scope: &Scope) -> anyhow::Result<Settings> {
        let module_url = self.module_url.trim_end_matches('/').to_string();
        ensure!(
            module_url.starts_with("http://") || module_url.starts_with("https://"),
            "--module-url: is {module_url:?}, expected a URL with http or https"
        );
        let selector = self.proxies.trim().to_string();
        let is_selector = selector.starts_with('{')
            || selector.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        ensure!(
            is_selector && (!selector.contains('{') || selector.ends_with('}')),
            "--proxies: is {selector:?}, expected a selector of series such as \
             envoy_server_uptime{{cluster=\"east\"}}"
        );
        Ok(Settings {
            owner: Owner {
                namespace: self.root_namespace,
                part: part(scope),
            },
            module_url,
            prometheus: self.prometheus.filter(|address| !address.is_empty()),
            proxies: Proxies(selector),
            deadline: Duration::from_secs(self.proxies_deadline.max(1)),
        })
    }
}

/// What tells the objects of a controller apart that looks after some Rollouts only.
fn part(scope: &Scope) -> Option<String> {
    let parts: Vec<&str> = [&scope.instance_id, &scope.namespace]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    (!parts.is_empty()).then(|| parts.join("-"))
}
