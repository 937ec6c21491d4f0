//! A configuration and a side of a release in, the labels of what is counted for it out.

use serin_core::metric::prefix;
use serin_core::wire::{FilterConfig, Pod, Proxy, Role, Rule, Variant, istio_workload};

/// The labels of one series, joined, except for the response's code and a bucket's bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Labels {
    /// Of Serin's own metrics; none for a request to no Rollout.
    pub(crate) serin: Option<String>,
    /// Of Istio's metrics, if this proxy is to report them.
    pub(crate) istio: Option<String>,
}

/// What Istio writes for what it does not know.
const UNKNOWN: &str = "unknown";

/// A request that was routed to a version.
pub(crate) fn routed(config: &FilterConfig, rule: &Rule, variant: Variant) -> Labels {
    let canary = rule.canary.as_ref().filter(|_| variant == Variant::Canary);
    version(
        config,
        &Version {
            rollout: &rule.rollout,
            namespace: &rule.namespace,
            service: &rule.service,
            revision: canary.map_or(&rule.stable, |canary| &canary.revision),
            variant,
        },
    )
}

/// A request that reached a pod.
pub(crate) fn served(config: &FilterConfig, pod: &Pod) -> Labels {
    version(
        config,
        &Version {
            rollout: &pod.rollout,
            namespace: &config.proxy.namespace,
            service: &pod.service,
            revision: &pod.revision,
            variant: pod.variant,
        },
    )
}

/// A request to a host without a rule, or through a pod of no Rollout. The host is no label: the
/// client chooses it.
pub(crate) fn other(config: &FilterConfig) -> Labels {
    let workload = match config.role {
        Role::Source => Workload::UNKNOWN,
        Role::Destination => Workload::of(&config.proxy),
    };
    Labels {
        serin: None,
        istio: istio(config, &workload, None),
    }
}

struct Version<'a> {
    rollout: &'a str,
    namespace: &'a str,
    service: &'a str,
    revision: &'a str,
    variant: Variant,
}

fn version(config: &FilterConfig, version: &Version<'_>) -> Labels {
    let name = istio_workload(version.rollout, version.variant);
    let destination = Workload {
        name: &name,
        namespace: version.namespace,
        app: version.rollout,
        revision: version.revision,
    };
    Labels {
        serin: Some(prefix(&[
            ("reporter", config.role.reporter()),
            ("rollout", version.rollout),
            ("namespace", version.namespace),
            ("variant", version.variant.as_str()),
            ("revision", version.revision),
        ])),
        istio: istio(config, &destination, Some(version.service)),
    }
}

/// A workload in Istio's labels. The app is the Rollout, as for pods that have no label `app`:
/// Istio falls back to the workload's name, which the canary does not share.
struct Workload<'a> {
    name: &'a str,
    namespace: &'a str,
    app: &'a str,
    revision: &'a str,
}

impl<'a> Workload<'a> {
    const UNKNOWN: Workload<'static> = Workload {
        name: UNKNOWN,
        namespace: UNKNOWN,
        app: UNKNOWN,
        revision: UNKNOWN,
    };

    fn of(proxy: &'a Proxy) -> Self {
        let pod = proxy.pod.as_ref();
        Workload {
            name: &proxy.workload,
            namespace: &proxy.namespace,
            app: pod.map_or(&proxy.workload, |pod| &pod.rollout),
            revision: pod.map_or(UNKNOWN, |pod| &pod.revision),
        }
    }
}

fn istio(
    config: &FilterConfig,
    destination: &Workload<'_>,
    service: Option<&str>,
) -> Option<String> {
    if !config.istio_metrics {
        return None;
    }
    // In front of the pod nothing tells who called; Istio learns it from the caller's certificate.
    let (source, security) = match config.role {
        Role::Source => (Workload::of(&config.proxy), UNKNOWN),
        Role::Destination => (Workload::UNKNOWN, "none"),
    };
    let host = service.map(|name| format!("{name}.{}.svc.cluster.local", destination.namespace));
    let service_namespace = service.map_or(UNKNOWN, |_| destination.namespace);
    Some(prefix(&[
        ("reporter", config.role.reporter()),
        ("source_workload", source.name),
        ("source_workload_namespace", source.namespace),
        ("source_app", source.app),
        ("source_canonical_service", source.app),
        ("source_canonical_revision", source.revision),
        ("source_version", source.revision),
        ("destination_workload", destination.name),
        ("destination_workload_namespace", destination.namespace),
        ("destination_app", destination.app),
        ("destination_canonical_service", destination.app),
        ("destination_canonical_revision", destination.revision),
        ("destination_version", destination.revision),
        ("destination_service", host.as_deref().unwrap_or(UNKNOWN)),
        ("destination_service_name", service.unwrap_or(UNKNOWN)),
        ("destination_service_namespace", service_namespace),
        ("request_protocol", "http"),
        ("connection_security_policy", security),
    ]))
}
