//! `trafficRouting`: the router, what a weight of everything is called, and the managed routes.

use super::{BlindQueries, Router, Step, WasmRouter, WorkloadName, istio, matches};
use crate::field::Field;
use crate::wire::StickyKey;

/// The name under `trafficRouting.plugins` that makes the filter move the traffic.
const WASM_PLUGIN: &str = "serin/wasm";

/// What `trafficRouting` says, read.
pub(super) struct Routing {
    pub(super) router: Router,
    pub(super) managed: Vec<String>,
    pub(super) max_weight: u32,
}

/// Reads `trafficRouting`; without it the share of pods moves the traffic.
pub(super) fn read(canary: &Field<'_>) -> Option<Routing> {
    let Some(routing) = canary.optional("trafficRouting") else {
        return Some(Routing {
            router: Router::ReplicaRatio,
            managed: Vec::new(),
            max_weight: 100,
        });
    };
    for (name, value) in routing
        .object()?
        .iter()
        .filter(|(_, value)| !value.is_null())
    {
        if OTHER_ROUTERS.contains(&name.as_str()) {
            routing.refuse(format_args!(
                "has router {name}, which is not supported, expected istio or \
                 plugins: {{{WASM_PLUGIN}: {{}}}}"
            ));
        } else if !["istio", "plugins", "managedRoutes", "maxTrafficWeight"]
            .contains(&name.as_str())
        {
            routing.refuse(format_args!(
                "has {name}: {}, expected istio, plugins, managedRoutes or maxTrafficWeight",
                crate::field::shown(value)
            ));
        }
    }
    let managed = routing.optional("managedRoutes").map(|list| {
        let items = list.list();
        let names = items.iter().map(|item| {
            item.only(&["name"]);
            item.required("name", "a route name")?
                .name()
                .map(str::to_string)
        });
        names.collect::<Option<Vec<String>>>()
    });
    let router = match (routing.optional("istio"), routing.optional("plugins")) {
        (Some(istio), None) => istio::read(&istio).map(Router::Istio),
        (None, Some(plugins)) => wasm_router(&plugins),
        (Some(_), Some(plugins)) => {
            plugins.refuse("stands beside istio, expected one router");
            None
        }
        (None, None) => {
            routing.refuse(format_args!(
                "names no router, expected istio or plugins: {{{WASM_PLUGIN}: {{}}}}"
            ));
            None
        }
    };
    let max_weight = max_weight(&routing, matches!(router, Some(Router::Istio(_))));
    Some(Routing {
        router: router?,
        managed: managed.unwrap_or(Some(Vec::new()))?,
        max_weight: max_weight?,
    })
}

const OTHER_ROUTERS: [&str; 7] = [
    "nginx",
    "alb",
    "smi",
    "ambassador",
    "appMesh",
    "traefik",
    "apisix",
];

/// `maxTrafficWeight`: what a weight of everything is called; a plugin's router may say more than
/// 100, Istio's may not (Argo Rollouts refuses it too).
fn max_weight(routing: &Field<'_>, istio: bool) -> Option<u32> {
    const FINEST: i64 = 10_000;
    let Some(field) = routing.optional("maxTrafficWeight") else {
        return Some(100);
    };
    if istio {
        field.refuse("is not possible with router istio, expected it to be absent");
        return None;
    }
    field.integer(1, FINEST).and_then(|n| u32::try_from(n).ok())
}

fn wasm_router(plugins: &Field<'_>) -> Option<Router> {
    plugins.only(&[WASM_PLUGIN]);
    let wasm = plugins.required(WASM_PLUGIN, "an object, which may be empty")?;
    const VIRTUAL_SERVICES: [&str; 2] = ["virtualService", "virtualServices"];
    let known = [
        "hosts",
        "sticky",
        "routes",
        "workloadName",
        "blindQueries",
        "gateways",
        "proxies",
    ];
    wasm.only(&[&known[..], &VIRTUAL_SERVICES].concat());
    for name in ["gateways", "proxies"] {
        if let Some(found) = wasm.optional(name) {
            found.refuse("is not supported yet, expected it to be absent");
        }
    }
    let list = |name: &str| wasm.optional(name).map_or(Vec::new(), |list| list.list());
    let hosts = list("hosts")
        .iter()
        .map(|host| host.name().map(str::to_lowercase))
        .collect::<Option<Vec<_>>>();
    let sticky = list("sticky")
        .iter()
        .map(sticky_key)
        .collect::<Option<Vec<_>>>();
    let routes = list("routes")
        .iter()
        .map(matches::rich_route)
        .collect::<Option<Vec<_>>>();
    let virtual_services = istio::named(&wasm);
    let workload_name = workload_name(&wasm);
    let blind_queries = blind_queries(&wasm);
    Some(Router::Wasm(WasmRouter {
        hosts: hosts?,
        sticky: sticky?,
        routes: routes?,
        virtual_services: virtual_services?,
        workload_name: workload_name?,
        blind_queries: blind_queries?,
    }))
}

fn blind_queries(wasm: &Field<'_>) -> Option<BlindQueries> {
    let Some(field) = wasm.optional("blindQueries") else {
        return Some(BlindQueries::default());
    };
    match field.value().as_str() {
        Some("warn") => Some(BlindQueries::Warn),
        Some("inconclusive") => Some(BlindQueries::Inconclusive),
        _ => {
            field.expected("warn or inconclusive");
            None
        }
    }
}

fn workload_name(wasm: &Field<'_>) -> Option<WorkloadName> {
    let Some(field) = wasm.optional("workloadName") else {
        return Some(WorkloadName::default());
    };
    match field.value().as_str() {
        Some("rollout") => Some(WorkloadName::Rollout),
        Some("revision") => Some(WorkloadName::Revision),
        _ => {
            field.expected("rollout or revision");
            None
        }
    }
}

fn sticky_key(key: &Field<'_>) -> Option<StickyKey> {
    key.only(&["header", "cookie"]);
    match (key.optional("header"), key.optional("cookie")) {
        (Some(header), None) => Some(StickyKey::Header(matches::header_name(&header)?)),
        (None, Some(cookie)) => Some(StickyKey::Cookie(cookie.name()?.to_string())),
        _ => {
            key.expected("{header: NAME} or {cookie: NAME}");
            None
        }
    }
}

/// The managed names in their order, those that only steps use after the listed ones.
pub(super) fn managed(listed: &[String], steps: &[Step], notices: &mut Vec<String>) -> Vec<String> {
    let mut names = listed.to_vec();
    for name in steps.iter().filter_map(Step::route) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_string());
            notices.push(format!(
                "route {name:?} is not in trafficRouting.managedRoutes: it is managed all the \
                 same, Argo Rollouts would refuse it"
            ));
        }
    }
    names
}

/// A VirtualService of the user's is never written, so no copies can be made there.
pub(super) fn refuse_mirrors(wasm: &WasmRouter, steps: &[Step], canary: &Field<'_>) {
    let mirror = steps.iter().find_map(|step| match step {
        Step::AddMirrorRoute(route) => Some(&route.name),
        _ => None,
    });
    if let (Some(name), false) = (mirror, wasm.virtual_services.is_empty()) {
        canary.refuse(format_args!(
            "has a step setMirrorRoute {name:?}, and {WASM_PLUGIN} names a VirtualService, which is \
             never written, expected no setMirrorRoute, or no virtualService (the controller then \
             has one of its own)"
        ));
    }
}

/// A managed route that `serin/wasm` describes has those matches in place of the step's.
pub(super) fn use_richer_matches(
    wasm: &WasmRouter,
    steps: &mut [Step],
    canary: &Field<'_>,
    notices: &mut Vec<String>,
) {
    for rich in &wasm.routes {
        let mut used = false;
        for step in steps.iter_mut() {
            if let Step::AddHeaderRoute(route) = step
                && route.name == rich.name
            {
                route.any = rich.any.clone();
                used = true;
            }
        }
        if used {
            notices.push(format!(
                "route {:?} matches as {WASM_PLUGIN} says, the match of its step is not used",
                rich.name
            ));
        } else {
            canary.refuse(format_args!(
                "{WASM_PLUGIN} describes route {:?}, expected a setHeaderRoute step that sets it",
                rich.name
            ));
        }
    }
}
