//! The VirtualServices that follow the filter's header: the user's are looked at and never written,
//! and where a Rollout names none there is one of the controller's own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use serin_core::plan::{Plan, WasmRouter};
use serin_core::step::Traffic;
use serin_core::wire::dns_forms;

use super::istio;
use super::router::namespace_of;
use super::watched::{Holding, Watched};
use crate::api::Rollout;
use crate::mesh::objects::MANAGED_BY;
use crate::mesh::routes;

/// The controller's own VirtualService.
pub(super) struct OwnRoutes {
    /// As it is seen; none if there is none.
    seen: Option<Value>,
    owner: Value,
}

impl OwnRoutes {
    /// The object as it is to be, if it is not so.
    pub(super) fn wanted(&self, plan: &Plan, traffic: &Traffic) -> Option<Value> {
        let mut wanted = routes::own(plan)?;
        if let Some(canary) = &traffic.canary {
            wanted = istio::mirrored(
                &wanted,
                routes::STABLE_ROUTE,
                &plan.managed_routes,
                &canary.mirrors,
                plan.canary_service.as_deref().unwrap_or_default(),
            );
        }
        wanted["metadata"]["ownerReferences"] = json!([self.owner]);
        // Labels and owners of others' stay theirs.
        let is_so = self.seen.as_ref().is_some_and(|seen| {
            let (label, value) = MANAGED_BY;
            let uid = self.owner["uid"].as_str().unwrap_or_default();
            seen["spec"] == wanted["spec"]
                && seen["metadata"]["labels"][label] == *value
                && routes::is_owned_by(seen, uid)
        });
        (!is_so).then_some(wanted)
    }
}

/// Looks at the user's, or finds the controller's own.
pub(super) fn look_at_routes(
    watched: &Watched,
    rollout: &Rollout,
    plan: &Plan,
    router: &WasmRouter,
    trouble: &mut Vec<String>,
) -> Option<OwnRoutes> {
    const FIELD: &str = "spec.strategy.canary.trafficRouting.plugins[serin/wasm]";
    if watched.holds_istio() != Holding::Held {
        trouble.push(format!(
            "{FIELD}: VirtualServices of networking.istio.io/v1 cannot be read here, expected Istio to \
             be installed"
        ));
        return None;
    }
    for reference in &router.virtual_services {
        let (name, namespace) = (&reference.name, namespace_of(reference, plan));
        match watched.virtual_service(namespace, name) {
            Some(object) => {
                let found = routes::trouble(&object, plan).into_iter();
                trouble.extend(found.map(|why| format!("{FIELD}.virtualService: {why}")));
            }
            None => trouble.push(format!(
                "{FIELD}.virtualService: VirtualService {name:?} is not found in namespace \
                 {namespace:?}, expected one that follows the filter's header (create it; without \
                 this field the controller has one of its own)"
            )),
        }
    }
    trouble.extend(others_host(watched, plan, router).map(|why| format!("{FIELD}.{why}")));
    if !router.virtual_services.is_empty() {
        let named = router.virtual_services.iter();
        let named = named.filter_map(|reference| {
            watched.virtual_service(namespace_of(reference, plan), &reference.name)
        });
        let named: Vec<Value> = named.collect();
        let missing = routes::uncovered(&named, plan, router);
        trouble.extend(missing.map(|why| format!("{FIELD}.virtualService: {why}")));
        return None;
    }
    if let Some(host) = router.hosts.first() {
        trouble.push(format!(
            "{FIELD}.hosts: has {host:?}, and the controller's own VirtualService is for the stable \
             Service alone, expected {FIELD}.virtualService to name yours that has this host"
        ));
        return None;
    }
    let owner: Option<OwnerReference> = rollout.controller_owner_ref(&());
    let name = routes::own_name(&plan.name);
    let seen = watched.virtual_service(&plan.namespace, &name);
    let owner = json!(owner?);
    let uid = rollout.uid().unwrap_or_default();
    let is_others = |seen: &Value| !routes::is_own(seen, &uid);
    if seen.as_ref().is_some_and(is_others) {
        trouble.push(format!(
            "{FIELD}: VirtualService {name:?} is there and not this Rollout's, expected none of that \
             name (delete it; it is the name of the controller's own)"
        ));
        return None;
    }
    if let Some(other) = other_for_host(watched, plan, &name) {
        trouble.push(format!(
            "{FIELD}: VirtualService {other:?} has the host {:?} already, and Istio takes one for a \
             host, expected it to be named in {FIELD}.virtualService",
            plan.stable_service.as_deref().unwrap_or_default()
        ));
        return None;
    }
    Some(OwnRoutes { seen, owner })
}

/// Another VirtualService of the mesh's for the host that the controller's own is for.
fn other_for_host(watched: &Watched, plan: &Plan, own: &str) -> Option<String> {
    let service = plan.stable_service.as_deref()?;
    let forms = dns_forms(service, &plan.namespace);
    let all = watched.virtual_services_in(&plan.namespace);
    let found = all.iter().find(|object| {
        let spec = &object.data["spec"];
        let list = |field: &str| spec[field].as_array().into_iter().flatten();
        let texts = |field: &str| list(field).filter_map(Value::as_str);
        let for_mesh = spec["gateways"].is_null() || texts("gateways").any(|name| name == "mesh");
        let mut hosts = texts("hosts");
        object.name_any() != own
            && for_mesh
            && hosts.any(|host| forms.iter().any(|form| form == host))
    });
    found.map(|object| object.name_any())
}

/// A host that is a Service's of another namespace.
fn others_host(watched: &Watched, plan: &Plan, router: &WasmRouter) -> Option<String> {
    let hosts = router.hosts.iter().enumerate();
    let mut found = hosts.filter_map(|(i, host)| {
        let (service, rest) = host.split_once('.')?;
        let namespace = rest
            .strip_suffix(".svc.cluster.local")
            .or(rest.strip_suffix(".svc"));
        let is_other = |namespace: &str| namespace != plan.namespace;
        let in_full = namespace.is_some_and(is_other);
        let short = is_other(rest) && watched.service(rest, service).is_some();
        (in_full || short).then(|| {
            format!(
                "hosts[{i}]: is {host:?}, a Service of another namespace, expected hosts of this \
                 Rollout's own"
            )
        })
    });
    found.next()
}
