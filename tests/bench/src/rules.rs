//! The filter's configurations under test.

use anyhow::Result;
use serin_bench::in_flight::{CANARY_PERCENT, HOST, USER_HEADER};
use serin_core::wire::{Canary, FilterConfig, Proxy, Role, Rule, StickyKey, VERSION};

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

/// One release in flight, for the host that the load calls.
pub(crate) fn full(istio_metrics: bool) -> Result<String> {
    Ok(serde_json::to_string(&config(
        vec![rule("shop")],
        istio_metrics,
    ))?)
}

fn rule(name: &str) -> Rule {
    Rule {
        rollout: name.to_string(),
        namespace: "default".to_string(),
        service: name.to_string(),
        hosts: vec![HOST.to_string()],
        names: Vec::new(),
        stable: "6d5f8c9b7d".to_string(),
        canary: Some(Canary {
            revision: "7c4b9d8f66".to_string(),
            weight_bp: CANARY_PERCENT * 100,
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
