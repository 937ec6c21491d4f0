//! The VirtualService that follows the filter's header: the controller's own, or the check of the
//! user's, which is never written.

use serde_json::{Map, Value, json};
use serin_core::plan::{Plan, Router, WasmRouter};
use serin_core::wire::{VARIANT_HEADER, Variant, dns_forms};

use super::objects::MANAGED_BY;

/// The version of Istio's API that VirtualServices are written in.
const API: &str = "networking.istio.io/v1";

/// What the controller's own is called.
pub fn own_name(rollout: &str) -> String {
    format!("serin-{rollout}")
}

/// The controller's own, for a Rollout that the filter routes and that names none.
pub fn own(plan: &Plan) -> Option<Value> {
    match &plan.router {
        Router::Wasm(router) if router.virtual_services.is_empty() => {}
        _ => return None,
    }
    // With this router both are there.
    let stable = plan.stable_service.as_deref()?;
    let canary = plan.canary_service.as_deref()?;
    let route = |host: &str| json!([{"destination": {"host": host}}]);
    let (label, value) = MANAGED_BY;
    Some(json!({
        "apiVersion": API, "kind": "VirtualService",
        "metadata": {"name": own_name(&plan.name), "namespace": plan.namespace,
            "labels": {label: value}},
        "spec": {"hosts": [stable], "http": [
            {
                "name": "serin-canary",
                "match": [{"headers": {VARIANT_HEADER: {"exact": Variant::Canary.as_str()}}}],
                "route": route(canary),
            },
            {"name": STABLE_ROUTE, "route": route(stable)},
        ]},
    }))
}

/// Whether a VirtualService is the Rollout's with this uid.
pub fn is_owned_by(object: &Value, uid: &str) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let mut owners = owners.into_iter().flatten();
    owners.any(|owner| owner["uid"] == *uid)
}

/// Whether a VirtualService of the controller's own name is that: the Rollout's with this uid, or one
/// that `serin render` printed and somebody applied.
pub fn is_own(object: &Value, uid: &str) -> bool {
    let (label, value) = MANAGED_BY;
    let owners = object["metadata"]["ownerReferences"].as_array();
    let free = owners.is_none_or(Vec::is_empty) && object["metadata"]["labels"][label] == *value;
    free || is_owned_by(object, uid)
}

/// The route of the controller's own that everybody else takes.
pub const STABLE_ROUTE: &str = "serin-stable";

/// What keeps a user's VirtualService from following the header: every request that carries it must
/// reach the canary Service, and no other may.
pub fn trouble(object: &Value, plan: &Plan) -> Vec<String> {
    let namespace = object["metadata"]["namespace"].as_str();
    let namespace = namespace.unwrap_or(&plan.namespace);
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let object_name = format!("VirtualService {namespace}/{name}");
    let sides = Sides { plan, namespace };
    let routes = object["spec"]["http"].as_array();
    let routes = routes.map(Vec::as_slice).unwrap_or_default();
    let mut trouble = Vec::new();
    for (i, route) in routes.iter().enumerate() {
        let (to_stable, to_canary) = sides.of(route);
        if to_canary && !every_match_has_header(route) {
            trouble.push(format!(
                "{object_name}: spec.http[{i}] sends requests to the canary Service that do not have \
                 the header {VARIANT_HEADER}, expected each of its matches to have {}",
                header_match()
            ));
        }
        let before = routes.iter().take(i);
        let canary_before = before.filter(|route| sides.of(route) == (false, true));
        if to_stable && !covers(&canary_before.collect::<Vec<_>>(), route) {
            trouble.push(format!(
                "{object_name}: spec.http[{i}] sends requests to the stable Service, and no route \
                 before it takes those of them with the header {VARIANT_HEADER}, expected one with \
                 the same match and {} that leads to Service {:?}",
                header_match(),
                plan.canary_service.as_deref().unwrap_or_default(),
            ));
        }
    }
    if !routes.iter().any(|route| sides.of(route).0) {
        trouble.push(format!(
            "{object_name}: spec.http has no route to the stable Service {:?}, expected one",
            plan.stable_service.as_deref().unwrap_or_default()
        ));
    }
    trouble
}

fn header_match() -> Value {
    json!({"headers": {VARIANT_HEADER: {"exact": Variant::Canary.as_str()}}})
}

/// Which of the two Services are which.
struct Sides<'a> {
    plan: &'a Plan,
    /// The VirtualService's, where short names are meant.
    namespace: &'a str,
}

impl Sides<'_> {
    /// Whether a route leads to stable, and whether it leads to the canary.
    fn of(&self, route: &Value) -> (bool, bool) {
        let all = route["route"].as_array();
        let all = all.map(Vec::as_slice).unwrap_or_default();
        // Beside others one with no weight gets nothing.
        let destinations = all
            .iter()
            .filter(|one| all.len() == 1 || one["weight"] != 0);
        let hosts = destinations.filter_map(|one| one["destination"]["host"].as_str());
        let is = |host: &str, service: &Option<String>| {
            service.as_deref().is_some_and(|service| {
                let [short, long @ ..] = dns_forms(service, &self.plan.namespace);
                host == short && self.namespace == self.plan.namespace
                    || long.iter().any(|long| long == host)
            })
        };
        hosts.fold((false, false), |(stable, canary), host| {
            (
                stable || is(host, &self.plan.stable_service),
                canary || is(host, &self.plan.canary_service),
            )
        })
    }
}

fn has_header(one: &Value) -> bool {
    one["headers"][VARIANT_HEADER]["exact"] == Variant::Canary.as_str()
}

fn matches(route: &Value) -> &[Value] {
    let list = route["match"].as_array();
    list.map(Vec::as_slice).unwrap_or_default()
}

fn every_match_has_header(route: &Value) -> bool {
    !matches(route).is_empty() && matches(route).iter().all(has_header)
}

/// Whether all requests with the header that `stable` would take are taken by routes before it: for
/// each of its matches there is one that asks for nothing more than the header.
fn covers(before: &[&Value], stable: &Value) -> bool {
    let any = json!({});
    let stable = match matches(stable) {
        [] => std::slice::from_ref(&any),
        some => some,
    };
    let mut all = stable.iter();
    all.all(|stable| {
        let canary = before.iter().flat_map(|route| matches(route));
        let mut canary = canary.filter(|one| has_header(one));
        canary.any(|canary| {
            let rest = conditions(canary);
            rest.is_empty() || rest == conditions(stable)
        })
    })
}

/// The hosts of a Rollout's that no VirtualService of these is for: requests that the filter sends to
/// the canary there would reach stable all the same.
pub fn uncovered<'a>(
    named: &'a [Value],
    plan: &'a Plan,
    router: &'a WasmRouter,
) -> impl Iterator<Item = String> + 'a {
    let texts = |object: &'a Value, field: &str| {
        let list = object["spec"][field].as_array().into_iter().flatten();
        list.filter_map(Value::as_str)
    };
    let matches = |pattern: &str, host: &str| match pattern.strip_prefix('*') {
        Some(rest) => host.ends_with(rest),
        None => pattern.eq_ignore_ascii_case(host),
    };
    let has = move |object: &'a Value, host: &str| {
        texts(object, "hosts").any(|pattern| matches(pattern, host))
    };
    let is_for_mesh = move |object: &'a Value| {
        object["spec"]["gateways"].is_null() || texts(object, "gateways").any(|name| name == "mesh")
    };
    let service = plan.stable_service.as_deref().unwrap_or(&plan.name);
    let forms = dns_forms(service, &plan.namespace);
    let mut for_mesh = named.iter().filter(move |object| is_for_mesh(object));
    let in_mesh = for_mesh.any(|object| forms.iter().any(|form| has(object, form)));
    let mesh = (!in_mesh).then(|| {
        format!(
            "none of those that are named has host {service:?} and gateway mesh, expected one for \
             callers in the mesh"
        )
    });
    let hosts = router.hosts.iter();
    let hosts = hosts.filter(move |host| !named.iter().any(|object| has(object, host)));
    let hosts = hosts.map(|host| format!("none of those that are named has host {host:?}"));
    mesh.into_iter().chain(hosts)
}

/// What a match asks for beside the header; its name asks for nothing.
fn conditions(one: &Value) -> Map<String, Value> {
    let mut all = one.as_object().cloned().unwrap_or_default();
    all.remove("name");
    if let Some(headers) = all.get_mut("headers").and_then(Value::as_object_mut) {
        headers.remove(VARIANT_HEADER);
        if headers.is_empty() {
            all.remove("headers");
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::fixture;

    fn plan() -> Plan {
        fixture::plan(&json!({"plugins": {"serin/wasm": {}}}))
    }

    fn told(http: Value) -> String {
        let object = json!({
            "metadata": {"name": "shop", "namespace": "web"}, "spec": {"http": http},
        });
        trouble(&object, &plan()).join("\n")
    }

    fn to(host: &str) -> Value {
        json!([{"destination": {"host": host}}])
    }

    #[test]
    fn the_controllers_own_follows_the_header() {
        let own = own(&plan()).expect("an object");
        assert_eq!(own["metadata"]["name"], "serin-shop");
        assert_eq!(trouble(&own, &plan()), Vec::<String>::new());
    }

    #[test]
    fn what_was_rendered_and_applied_is_taken_for_its_own() {
        let rendered = own(&plan()).expect("an object");
        assert!(is_own(&rendered, "1") && !is_owned_by(&rendered, "1"));
        let mut others = rendered.clone();
        others["metadata"]["ownerReferences"] = json!([{"uid": "2"}]);
        assert!(!is_own(&others, "1") && is_own(&others, "2"));
        let mut users = rendered;
        users["metadata"]["labels"] = json!({});
        assert!(!is_own(&users, "1"));
    }

    #[test]
    fn a_users_may_match_more_and_name_services_in_full() {
        let header = header_match();
        let mut with_path = header.clone();
        with_path["uri"] = json!({"prefix": "/pay"});
        let long = "shop-canary.web.svc.cluster.local";
        let told = told(json!([
            {"match": [with_path], "route": to(long)},
            {"match": [{"uri": {"prefix": "/pay"}, "name": "pay"}], "route": to("shop"),
                "timeout": "3s"},
            {"match": [{"uri": {"prefix": "/other"}}], "route": to("other")},
            {"match": [header], "route": to("shop-canary")},
            {"route": to("shop.web")},
        ]));
        assert_eq!(told, "");
    }

    #[test]
    fn a_destination_without_weight_gets_nothing() {
        let weights = json!([{"destination": {"host": "shop"}, "weight": 100},
            {"destination": {"host": "shop-canary"}, "weight": 0}]);
        let told = told(json!([
            {"match": [header_match()], "route": to("shop-canary")}, {"route": weights},
        ]));
        assert_eq!(told, "");
    }

    #[test]
    fn every_host_has_a_virtual_service() {
        let router = WasmRouter {
            hosts: vec!["shop.example.com".into(), "www.shop.net".into()],
            ..WasmRouter::default()
        };
        let object =
            |hosts: Value, gateways: Value| json!({"spec": {"hosts": hosts, "gateways": gateways}});
        let told =
            |named: &[Value]| -> Vec<String> { uncovered(named, &plan(), &router).collect() };
        let door = object(json!(["*.example.com", "www.shop.net"]), json!(["door"]));
        let mesh = object(json!(["shop.web.svc.cluster.local"]), Value::Null);
        assert_eq!(told(&[door.clone(), mesh.clone()]), Vec::<String>::new());
        assert!(told(&[door])[0].contains("gateway mesh"));
        assert!(told(&[mesh])[0].contains("shop.example.com"));
    }

    #[test]
    fn what_does_not_follow_the_header_is_told_by_its_route() {
        let header = header_match();
        let none = told(json!([{"route": to("shop")}]));
        assert!(
            none.contains("spec.http[0] sends requests to the stable"),
            "{none}"
        );
        assert!(none.contains("\"shop-canary\""), "{none}");
        let late = told(json!([
            {"route": to("shop")}, {"match": [header], "route": to("shop-canary")},
        ]));
        assert!(late.contains("spec.http[0]"), "{late}");
        let open = told(json!([
            {"match": [header], "route": to("shop-canary")},
            {"match": [{"uri": {"prefix": "/beta"}}], "route": to("shop-canary")},
            {"route": to("shop")},
        ]));
        assert!(
            open.contains("spec.http[1] sends requests to the canary"),
            "{open}"
        );
        let mut narrow = header.clone();
        narrow["uri"] = json!({"prefix": "/pay"});
        let narrow = told(json!([
            {"match": [narrow], "route": to("shop-canary")}, {"route": to("shop")},
        ]));
        assert!(
            narrow.contains("spec.http[1] sends requests to the stable"),
            "{narrow}"
        );
        let elsewhere = told(json!([{"route": to("other")}]));
        assert!(
            elsewhere.contains("has no route to the stable Service"),
            "{elsewhere}"
        );
    }
}
