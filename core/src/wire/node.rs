//! Whose proxy a filter runs in, where the configuration does not say: what Envoy knows of its own
//! node comes in, the configuration of this proxy goes out.

use super::{FilterConfig, MAX_LABEL, MAX_NAME, Proxy, istio_workload, validate};

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
    /// This configuration at a proxy: with its name, and its pod's version if that is among
    /// [`FilterConfig::pods`]. One that names its proxy stays as it is.
    pub fn at(mut self, node: &Node) -> FilterConfig {
        let pods = std::mem::take(&mut self.pods);
        if !self.proxy.is_unnamed() {
            return self;
        }
        let is_own = |namespace: &str, revision: &str| {
            !node.revision.is_empty() && namespace == node.namespace && revision == node.revision
        };
        let mut pods = pods.into_iter();
        let own = pods.find(|version| is_own(&version.namespace, &version.pod.revision));
        let pod = own.map(|version| version.pod);
        let workload = match &pod {
            Some(pod) => istio_workload(&pod.rollout, pod.variant),
            None => known(&node.workload, MAX_LABEL),
        };
        self.proxy = Proxy {
            workload,
            namespace: known(&node.namespace, MAX_NAME),
            pod,
        };
        self
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
