//! Whose proxy a filter runs in, where the configuration does not say: what Envoy knows of its own
//! node comes in, the configuration of this proxy goes out.

use super::{
    FilterConfig, MAX_LABEL, MAX_NAME, Pod, Proxy, Rule, Variant, istio_workload, names, validate,
};

/// What Istio writes into the node metadata of a proxy (`pkg/model/proxy.go` of istio); what is not
/// there is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `WORKLOAD_NAME`.
    pub workload: String,
    /// `NAMESPACE`.
    pub namespace: String,
    /// The pod's template hash, of `LABELS`.
    pub revision: String,
}

/// What Istio writes for what it does not know.
const UNKNOWN: &str = "unknown";

impl FilterConfig {
    /// This configuration at a proxy: with the hosts of its rules spelled out, with its name, and
    /// with its pod's version if that is among [`FilterConfig::pods`] or in the rules. The name of
    /// one that names its proxy stays.
    pub fn at(mut self, node: &Node) -> FilterConfig {
        let pods = std::mem::take(&mut self.pods);
        if !self.proxy.is_unnamed() {
            names::spelled_out(&mut self.rules, &self.proxy.namespace);
            return self;
        }
        let is_own = |namespace: &str, revision: &str| {
            !node.revision.is_empty() && namespace == node.namespace && revision == node.revision
        };
        let mut pods = pods.into_iter();
        let listed = pods.find(|version| is_own(&version.namespace, &version.pod.revision));
        let pod = listed.map(|version| version.pod).or_else(|| {
            let mut versions = self.rules.iter().flat_map(Rule::versions);
            versions.find_map(|(namespace, pod)| is_own(namespace, &pod.revision).then_some(pod))
        });
        let workload = match &pod {
            Some(pod) => istio_workload(&pod.rollout, pod.variant),
            None => known(&node.workload, MAX_LABEL),
        };
        names::spelled_out(&mut self.rules, &node.namespace);
        self.proxy = Proxy {
            workload,
            namespace: known(&node.namespace, MAX_NAME),
            pod,
        };
        self
    }
}

impl Rule {
    /// The versions that it is about, each with its namespace.
    pub fn versions(&self) -> impl Iterator<Item = (&str, Pod)> {
        let canary = self.canary.iter();
        let canary = canary.map(|canary| (&canary.revision, Variant::Canary));
        let all = std::iter::once((&self.stable, Variant::Stable)).chain(canary);
        all.map(|(revision, variant)| {
            let pod = Pod {
                rollout: self.rollout.clone(),
                revision: revision.clone(),
                variant,
                service: self.service.clone(),
            };
            (&*self.namespace, pod)
        })
    }
}

/// The value, if it can be that of a label.
fn known(value: &str, longest: usize) -> String {
    let value = match validate::is_label(value, longest) {
        true => value,
        false => UNKNOWN,
    };
    value.to_string()
}
