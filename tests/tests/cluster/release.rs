//! Whole releases by `serin controller`, with traffic through proxies that istiod configures, and
//! driven with the plugin that users of Argo Rollouts know.

mod by_filter;
mod contended;
mod controller;
mod flow;
mod isolation;
mod lease;
mod manifests;
mod metrics;
mod named;
mod outages;
mod refused;
mod routes;
mod trouble;
mod variants;
mod verbs;
mod workloads;

pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
    let modules = [
        by_filter::all(),
        flow::trials(),
        isolation::trials(),
        lease::trials(),
        metrics::trials(),
        named::trials(),
        outages::trials(),
        refused::trials(),
        routes::trials(),
        trouble::trials(),
        variants::trials(),
        verbs::trials(),
        workloads::trials(),
    ];
    modules.into_iter().flatten().collect()
}
