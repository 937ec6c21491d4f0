//! The filter's configurations under test.

use anyhow::Result;
use serin_core::wire::{Canary, FilterConfig, Proxy, Role, Rule, StickyKey, VERSION};

use crate::load::{HOST, USER_HEADER};
use crate::variant::CANARY_PERCENT;

/// The name of the filter's instance.
pub(crate) const NAME: &str = "bench";

/// As the controller leaves it while nothing is released.
pub(crate) fn idle() -> FilterConfig {
    config(Vec::new(), false)
}

/// The same as the filter reads it.
pub(crate) fn idle_text() -> Result<String> {
    Ok(serde_json::to_string(&idle())?)
}

/// One release in flight for the host that the load calls, among `hosts` hosts in all.
pub(crate) fn full(hosts: usize, istio_metrics: bool) -> Result<String> {
    const HOSTS_PER_RULE: usize = 50;
    let others = (1..hosts).map(|i| format!("service-{i}.default.svc.cluster.local"));
    let names: Vec<String> = std::iter::once(HOST.to_string()).chain(others).collect();
    let rules = names
        .chunks(HOSTS_PER_RULE)
        .enumerate()
        .map(|(i, hosts)| rule(&format!("shop-{i}"), hosts.to_vec()))
        .collect();
    Ok(serde_json::to_string(&config(rules, istio_metrics))?)
}

fn rule(name: &str, hosts: Vec<String>) -> Rule {
    Rule {
        rollout: name.to_string(),
        namespace: "default".to_string(),
        service: name.to_string(),
        hosts,
        names: Vec::new(),
        stable: "6d5f8c9b7d".to_string(),
        canary: Some(Canary {
            revision: "7c4b9d8f66".to_string(),
            weight_bp: CANARY_PERCENT as u16 * 100,
            salt: format!("default/{name}/7c4b9d8f66"),
            sticky: vec![StickyKey::Header(USER_HEADER.to_string())],
            routes: Vec::new(),
        }),
    }
}

fn config(rules: Vec<Rule>, istio_metrics: bool) -> FilterConfig {
    FilterConfig {
        version: VERSION,
        generation: 1,
        name: NAME.to_string(),
        role: Role::Source,
        pods: Vec::new(),
        proxy: Proxy {
            workload: "gateway".to_string(),
            namespace: "default".to_string(),
            pod: None,
        },
        after_another: false,
        istio_metrics,
        rules,
    }
}
