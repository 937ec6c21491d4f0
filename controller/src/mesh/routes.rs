//! The VirtualService that follows the filter's header: the controller's own, or the check of the
//! user's, which is never written.

use serde_json::{Map, Value, json};
use serin_core::plan::Plan;
use serin_core::wire::{VARIANT_HEADER, Variant, dns_forms};

use super::objects::MANAGED_BY;

/// The version of Istio's API that VirtualServices are written in.
const API: &str = "networking.istio.io/v1";

/// What the controller's own is called.
pub fn own_name(rollout: &str) -> String {
    format!("serin-{rollout}")
}

/// The controller's own, for a Rollout that names none. None if the Rollout names no canary Service,
/// for then there is nowhere to go.
pub fn own(plan: &Plan) -> Option<Value> {
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
        let canary_before = routes.iter().take(i);
        let mut canary_before = canary_before.filter(|route| sides.of(route) == (false, true));
        if to_stable && !canary_before.any(|before| covers(before, route)) {
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
        let destinations = route["route"].as_array().into_iter().flatten();
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

/// Whether all requests with the header that `stable` would take are taken by `canary`: for each of
/// its matches there is one that asks for nothing more than the header.
fn covers(canary: &Value, stable: &Value) -> bool {
    let any = json!({});
    let stable = match matches(stable) {
        [] => std::slice::from_ref(&any),
        some => some,
    };
    let mut all = stable.iter();
    all.all(|stable| {
        let mut canary = matches(canary).iter().filter(|one| has_header(one));
        canary.any(|canary| {
            let rest = conditions(canary);
            rest.is_empty() || rest == conditions(stable)
        })
    })
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

    fn plan() -> Plan {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop", "namespace": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}},
                    "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
                "strategy": {"canary": {
                    "stableService": "shop", "canaryService": "shop-canary",
                    "trafficRouting": {"plugins": {"serin/wasm": {}}},
                }},
            },
        });
        Plan::parse(&rollout, "default").expect("a plan")
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
