//! What a mesh is told, as objects of Istio's: the filter's place in every proxy, which is made once,
//! and what it is to do, which is an object of its own, so that a change touches no listener.

use serde_json::{Value, json};
use serin_core::field::{FieldError, FieldErrors};
use serin_core::plan::Plan;
use serin_core::wire::{
    FilterConfig, MAX_CONFIG, Proxy, Role, Rule, VARIANT_HEADER, VERSION, Variant, VersionOfPods,
};

use crate::ecds;

/// The filter of gateways, and of sidecars where their pods call out.
pub const SOURCE: &str = "serin-source";
/// The filter of sidecars where requests come in to their pods.
pub const DESTINATION: &str = "serin-destination";

/// The object that gives the filter its place.
pub const PLACE: &str = "serin-filter";
/// The object that says what the filter is to do.
pub const CONFIGURATION: &str = "serin-config";

const API: &str = "networking.istio.io/v1alpha3";

/// The filter's place in all proxies of a namespace, of all namespaces if it is Istio's root
/// namespace: before what only counts and routes, after all that authenticates. Without a
/// configuration every request is let through.
pub fn place(namespace: &str) -> Value {
    let source = json!({
        "ads": {}, "initial_fetch_timeout": "5s", "resource_api_version": "V3",
    });
    let patch = |context: &str, name: &str| {
        json!({
            "applyTo": "HTTP_FILTER",
            "match": {
                "context": context,
                // Istio puts this filter into every connection manager.
                "listener": {"filterChain": {"filter": {
                    "name": "envoy.filters.network.http_connection_manager",
                    "subFilter": {"name": "envoy.filters.http.grpc_stats"},
                }}},
            },
            "patch": {"operation": "INSERT_BEFORE", "value": ecds::filter(name, &source)},
        })
    };
    json!({
        "apiVersion": API, "kind": "EnvoyFilter",
        "metadata": {"name": PLACE, "namespace": namespace},
        "spec": {"configPatches": [
            patch("GATEWAY", SOURCE),
            patch("SIDECAR_OUTBOUND", SOURCE),
            patch("SIDECAR_INBOUND", DESTINATION),
        ]},
    })
}

/// What the filter is to do in a mesh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Grows with every change of the rest.
    pub generation: u64,
    /// The releases in flight.
    pub rules: Vec<Rule>,
    /// Their versions.
    pub pods: Vec<VersionOfPods>,
}

/// What all filters of a namespace's proxies are to do, with the module at `code`, Envoy's
/// `AsyncDataSource`.
///
/// # Errors
/// Every limit of the filter's that is passed.
pub fn configuration(namespace: &str, wanted: &Wanted, code: &Value) -> Result<Value, FieldErrors> {
    let filter = |role: Role| {
        let (name, rules) = match role {
            Role::Source => (SOURCE, wanted.rules.clone()),
            Role::Destination => (DESTINATION, Vec::new()),
        };
        FilterConfig {
            version: VERSION,
            generation: wanted.generation,
            name: name.to_string(),
            role,
            proxy: Proxy::default(),
            pods: wanted.pods.clone(),
            istio_metrics: false,
            rules,
        }
    };
    let mut patches = Vec::new();
    for role in [Role::Source, Role::Destination] {
        let config = filter(role);
        config.to_json()?;
        let name = &config.name;
        patches.push(json!({
            "applyTo": "EXTENSION_CONFIG",
            "patch": {
                "operation": "ADD",
                "value": {"name": name, "typed_config": ecds::typed_config(&config, code)},
            },
        }));
    }
    let object = json!({
        "apiVersion": API, "kind": "EnvoyFilter",
        "metadata": {"name": CONFIGURATION, "namespace": namespace},
        "spec": {"configPatches": patches},
    });
    // The API server takes the whole, in which the text of each is quoted.
    let bytes = object.to_string().len();
    match bytes <= MAX_CONFIG {
        true => Ok(object),
        false => Err(FieldErrors(vec![FieldError {
            path: format!("EnvoyFilter {namespace}/{CONFIGURATION}"),
            message: format!("has {bytes} bytes, expected at most {MAX_CONFIG}"),
        }])),
    }
}

/// The module where a controller gives it out, such as `http://serin.serin-system:8090`: proxies
/// take these bytes or none.
pub fn code_at(controller: &str) -> Value {
    let path = crate::cluster::web::module_path();
    json!({"remote": {
        "http_uri": {"uri": format!("{controller}{path}"), "timeout": "30s", "cluster": "_"},
        "sha256": serin_filter_module::SHA256,
    }})
}

/// The VirtualService that follows the filter's header, for a Rollout that names none: it never
/// changes. None if the Rollout names no canary Service, for then there is nowhere to go.
pub fn virtual_service(plan: &Plan) -> Option<Value> {
    let stable = plan.stable_service.as_deref()?;
    let canary = plan.canary_service.as_deref()?;
    let route = |host: &str| json!([{"destination": {"host": host}}]);
    Some(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": format!("serin-{}", plan.name), "namespace": plan.namespace},
        "spec": {"hosts": [stable], "http": [
            {
                "name": "serin-canary",
                "match": [{"headers": {VARIANT_HEADER: {"exact": Variant::Canary.as_str()}}}],
                "route": route(canary),
            },
            {"name": "serin-stable", "route": route(stable)},
        ]},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        let rule = json!({
            "rollout": "shop", "namespace": "web", "service": "shop", "hosts": ["shop.web"],
            "stable": "a",
            "canary": {"revision": "b", "weightBp": 100, "salt": "web/shop/b"},
        });
        let pod = json!({"namespace": "web", "pod": {
            "rollout": "shop", "revision": "b", "variant": "canary", "service": "shop"}});
        Wanted {
            generation: 7,
            rules: vec![serde_json::from_value(rule).expect("a rule")],
            pods: vec![serde_json::from_value(pod).expect("a version")],
        }
    }

    /// What the patches of an object are, by the filter's name.
    fn configs(object: &Value) -> Vec<(&str, &Value)> {
        let patches = object["spec"]["configPatches"].as_array().expect("patches");
        let values = patches.iter().map(|patch| &patch["patch"]["value"]);
        values
            .map(|value| (value["name"].as_str().expect("a name"), value))
            .collect()
    }

    #[test]
    fn a_place_lets_everything_through_until_there_is_a_configuration() {
        let object = place("istio-system");
        let names: Vec<&str> = configs(&object).iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [SOURCE, SOURCE, DESTINATION]);
        for (_, value) in configs(&object) {
            let discovery = &value["config_discovery"];
            let default = discovery["default_config"]["@type"]
                .as_str()
                .expect("a type");
            assert!(default.ends_with("rbac.v3.RBAC"), "{default}");
            assert_eq!(discovery["config_source"]["ads"], json!({}));
        }
    }

    #[test]
    fn a_configuration_is_for_all_proxies_and_pinned_to_the_module() {
        let code = code_at("http://serin.serin-system:8090");
        let object = configuration("istio-system", &wanted(), &code).expect("an object");
        let found = configs(&object);
        assert_eq!(found.len(), 2);
        for (name, value) in found {
            let plugin = &value["typed_config"]["config"];
            assert_eq!(plugin["failure_policy"], "FAIL_OPEN");
            assert_eq!(plugin["vm_config"]["vm_id"], "serin");
            let remote = &plugin["vm_config"]["code"]["remote"];
            assert_eq!(remote["sha256"], serin_filter_module::SHA256);
            let uri = remote["http_uri"]["uri"].as_str().expect("a URI");
            assert!(uri.contains(serin_filter_module::SHA256), "{uri}");
            let text = plugin["configuration"]["value"].as_str().expect("a text");
            let config = FilterConfig::from_json(text.as_bytes()).expect("is accepted");
            assert_eq!((&*config.name, config.generation), (name, 7));
            assert!(config.proxy.is_unnamed() && config.pods.len() == 1);
            assert_eq!(config.rules.len(), usize::from(name == SOURCE));
        }
    }

    #[test]
    fn at_rest_there_is_no_module() {
        let object = configuration("a", &Wanted::default(), &json!({})).expect("an object");
        for (_, value) in configs(&object) {
            let kind = value["typed_config"]["@type"].as_str().expect("a type");
            assert!(kind.ends_with("rbac.v3.RBAC"), "{kind}");
        }
    }

    #[test]
    fn what_the_filter_would_refuse_is_refused_here() {
        let mut wanted = wanted();
        wanted.rules[0].hosts = vec!["SHOP".into()];
        let refused = configuration("a", &wanted, &json!({})).expect_err("is refused");
        assert!(
            refused.to_string().contains("rules[0].hosts[0]"),
            "{refused}"
        );
    }
}
