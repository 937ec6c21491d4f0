//! What a request's ends are to be called in Istio's own metrics. Only the canary has a name that
//! Istio does not know: it is left with the request as filter state, where a Telemetry resource
//! reads it. A request that has to do with stable only is not touched, unless it fails.

use crate::counts::Counts;
use crate::host;
use serin_core::wire::{
    DESTINATION_WORKLOAD, FilterConfig, Role, SOURCE_WORKLOAD, Variant, istio_workload,
};

/// Leaves the names with a request that was decided like this. One that cannot be left is counted
/// as a host call that failed, and Istio's own name stands.
pub(crate) fn leave(config: &FilterConfig, to: Option<(usize, Variant)>, counts: &mut Counts) {
    let own = match &config.proxy.pod {
        Some(pod) if pod.variant == Variant::Canary => Some(config.proxy.workload.as_str()),
        _ => None,
    };
    if let Some(workload) = own {
        let state = match config.role {
            Role::Source => SOURCE_WORKLOAD,
            Role::Destination => DESTINATION_WORKLOAD,
        };
        counts.expect(host::set_property(state, workload));
    }
    if let Some((rule, Variant::Canary)) = to
        && let Some(rule) = config.rules.get(rule)
    {
        let workload = istio_workload(&rule.rollout, Variant::Canary);
        counts.expect(host::set_property(DESTINATION_WORKLOAD, &workload));
    }
}

/// Whether a request with this answer may have met no sidecar that says whose it is; 0 is none.
pub(crate) fn may_lack_a_peer(code: u16) -> bool {
    code == 0 || code >= 500
}

/// Leaves stable's name with a request that got no good answer. From who gave none Istio learns no
/// name, and in an outage of both sides the canary alone would be seen to fail.
pub(crate) fn leave_stable(config: &FilterConfig, rule: usize, counts: &mut Counts) {
    if let Some(rule) = config.rules.get(rule) {
        counts.expect(host::set_property(DESTINATION_WORKLOAD, &rule.rollout));
    }
}
