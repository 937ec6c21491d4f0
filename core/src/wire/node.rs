//! Whose proxy a filter runs in, where the configuration does not say: what Envoy knows of its own
//! node comes in, the configuration of this proxy goes out.

use super::{
    FilterConfig, MAX_LABEL, MAX_NAME, Pod, Proxy, Rule, Variant, Versions, istio_workload, names,
    validate,
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
        let listed = pods.iter().find_map(|versions| versions.pod_of(node));
        let pod = listed.or_else(|| {
            let rules = self.rules.iter();
            let mut near = rules.filter(|rule| rule.namespace == node.namespace);
            near.find_map(|rule| rule.versions().pod_of(node))
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
    /// The versions that it is about.
    pub fn versions(&self) -> Versions {
        Versions {
            namespace: self.namespace.clone(),
            rollout: self.rollout.clone(),
            service: (self.service != self.rollout).then(|| self.service.clone()),
            stable: self.stable.clone(),
            canary: self.canary.as_ref().map(|canary| canary.revision.clone()),
        }
    }
}

impl Versions {
    /// The pod that a node is, if it is of one of these.
    fn pod_of(&self, node: &Node) -> Option<Pod> {
        if node.revision.is_empty() || self.namespace != node.namespace {
            return None;
        }
        let variant = match &self.canary {
            _ if self.stable == node.revision => Variant::Stable,
            Some(canary) if *canary == node.revision => Variant::Canary,
            _ => return None,
        };
        Some(Pod {
            rollout: self.rollout.clone(),
            revision: node.revision.clone(),
            variant,
            service: self.service.as_ref().unwrap_or(&self.rollout).clone(),
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
