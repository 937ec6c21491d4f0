//! What a mesh is told, as objects of Istio's: the filter's place in every proxy, which is made once,
//! and what it is to do, which is an object of its own, so that a change touches no listener.

use serde_json::{Value, json};
use serin_core::field::{FieldError, FieldErrors};
use serin_core::wire::{FilterConfig, MAX_CONFIG, Proxy, Role, Rule, VERSION, Versions};

use crate::ecds;

/// The filter of gateways, and of sidecars where their pods call out.
pub const SOURCE: &str = "serin-source";
/// The filter of sidecars where requests come in to their pods.
pub const DESTINATION: &str = "serin-destination";

/// The object that gives the filter its place.
pub const PLACE: &str = "serin-filter";
/// The object that says what the filter is to do.
pub const CONFIGURATION: &str = "serin-config";

/// The annotation that tells a configuration's generation, also while it asks for nothing.
pub const GENERATION: &str = "serin.dev/generation";
/// The label of all objects that are the controller's own, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "serin");

/// Who the API server takes the writer of those objects to be.
pub const MANAGER: &str = "serin";

/// The version of Istio's API that EnvoyFilters are written in.
pub const API: &str = "networking.istio.io/v1alpha3";

/// Whose objects they are: those of a controller that looks after a part of the mesh have names of
/// their own, and so have its filters, or two controllers would undo each other's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Where the objects are, which is whose proxies they are for: Istio's root namespace for all.
    pub namespace: String,
    /// The part: an instance id, a namespace, or both; none: all Rollouts.
    pub part: Option<String>,
}

impl Owner {
    /// Of all Rollouts.
    pub fn of_all(namespace: &str) -> Owner {
        Owner {
            namespace: namespace.to_string(),
            part: None,
        }
    }

    /// What something of a shard is called. Releases that have no room in one object and one filter
    /// go to the next, so all but the first are seldom there.
    pub fn name(&self, name: &str, shard: usize) -> String {
        let mut name = name.to_string();
        if let Some(part) = &self.part {
            name = format!("{name}-{part}");
        }
        match shard {
            0 => name,
            shard => format!("{name}-{}", shard + 1),
        }
    }

    /// Whether another filter of Serin's may stand before this one.
    fn is_after_another(&self, shard: usize) -> bool {
        shard > 0 || self.part.is_some()
    }
}

/// The filter's place in all proxies of a namespace, of all namespaces if it is Istio's root
/// namespace: before what only counts and routes, after all that authenticates. Without a
/// configuration every request is let through.
pub fn place(owner: &Owner, shard: usize) -> Value {
    let source = json!({
        "ads": {}, "initial_fetch_timeout": "5s", "resource_api_version": "V3",
    });
    let patch = |context: &str, name: &str| {
        let name = owner.name(name, shard);
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
            "patch": {"operation": "INSERT_BEFORE", "value": ecds::filter(&name, &source)},
        })
    };
    let (label, value) = MANAGED_BY;
    json!({
        "apiVersion": API, "kind": "EnvoyFilter",
        "metadata": {"name": owner.name(PLACE, shard), "namespace": owner.namespace,
            "labels": {label: value}},
        "spec": {
            // The shards' filters stand in their order.
            "priority": shard,
            "configPatches": [
                patch("GATEWAY", SOURCE),
                patch("SIDECAR_OUTBOUND", SOURCE),
                patch("SIDECAR_INBOUND", DESTINATION),
            ],
        },
    })
}

/// What the filter of one shard is to do in a mesh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Grows with every change of the rest.
    pub generation: u64,
    /// The releases in flight.
    pub rules: Vec<Rule>,
}

/// What all filters of a shard are to do in a namespace's proxies, with the module at `code`, Envoy's
/// `AsyncDataSource`.
///
/// # Errors
/// Every limit of the filter's that is passed.
pub fn configuration(
    owner: &Owner,
    shard: usize,
    wanted: &Wanted,
    code: &Value,
) -> Result<Value, FieldErrors> {
    let mut patches = Vec::new();
    for role in [Role::Source, Role::Destination] {
        let config = filter(owner, shard, role, wanted);
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
    let (label, value) = MANAGED_BY;
    let name = owner.name(CONFIGURATION, shard);
    let namespace = &owner.namespace;
    let object = json!({
        "apiVersion": API, "kind": "EnvoyFilter",
        "metadata": {"name": name, "namespace": namespace, "labels": {label: value},
            "annotations": {GENERATION: wanted.generation.to_string()}},
        "spec": {"configPatches": patches},
    });
    // The API server takes the whole, in which the text of each is quoted.
    let bytes = object.to_string().len();
    match bytes <= MAX_CONFIG {
        true => Ok(object),
        false => Err(FieldErrors(vec![FieldError {
            path: format!("EnvoyFilter {namespace}/{name}"),
            message: format!("has {bytes} bytes, expected at most {MAX_CONFIG}"),
        }])),
    }
}

/// What one filter is told. Where requests come in, it is told of the versions alone.
pub(super) fn filter(owner: &Owner, shard: usize, role: Role, wanted: &Wanted) -> FilterConfig {
    let (name, rules, pods) = match role {
        Role::Source => (SOURCE, wanted.rules.clone(), Vec::new()),
        Role::Destination => (DESTINATION, Vec::new(), versions(&wanted.rules)),
    };
    FilterConfig {
        version: VERSION,
        generation: wanted.generation,
        name: owner.name(name, shard),
        role,
        proxy: Proxy::default(),
        pods,
        after_another: owner.is_after_another(shard),
        istio_metrics: false,
        rules,
    }
}

pub(super) fn versions(rules: &[Rule]) -> Vec<Versions> {
    rules.iter().map(Rule::versions).collect()
}

/// What a [`configuration`] says. One that somebody else wrote, or changed beyond reading, says
/// nothing.
pub fn read(object: &Value) -> Wanted {
    let generation = &object["metadata"]["annotations"][GENERATION];
    let generation = generation.as_str().and_then(|text| text.parse().ok());
    let patches = object["spec"]["configPatches"].as_array();
    let texts = patches.into_iter().flatten().filter_map(|patch| {
        let plugin = &patch["patch"]["value"]["typed_config"]["config"];
        plugin["configuration"]["value"].as_str()
    });
    let configs = texts.filter_map(|text| FilterConfig::from_json(text.as_bytes()).ok());
    let source = configs
        .into_iter()
        .find(|config| config.role == Role::Source);
    let shown = source.as_ref().map_or(0, |config| config.generation);
    Wanted {
        // Whichever is higher: proxies may have been shown it.
        generation: generation.unwrap_or(0).max(shown),
        rules: source.map(|config| config.rules).unwrap_or_default(),
    }
}

/// Where the proxies of a [`configuration`] find the module, if it says so as [`code_at`] does.
pub fn code_of(object: &Value) -> Option<Value> {
    let patches = object["spec"]["configPatches"].as_array()?;
    let mut codes = patches.iter().map(|patch| {
        let plugin = &patch["patch"]["value"]["typed_config"]["config"];
        &plugin["vm_config"]["code"]
    });
    codes
        .find(|code| {
            let remote = &code["remote"];
            let (uri, sum) = (&remote["http_uri"]["uri"], &remote["sha256"]);
            let known = uri.as_str().zip(sum.as_str());
            known.is_some_and(|(uri, sum)| {
                let path = format!("/filter/{sum}.wasm");
                let at = uri.strip_suffix(&path);
                at.is_some_and(|at| **code == remote_code(at, &path, sum))
            })
        })
        .cloned()
}

/// The module where a controller gives it out, such as `http://serin.serin-system:8090`: proxies
/// take these bytes or none.
pub fn code_at(controller: &str) -> Value {
    let path = crate::cluster::web::module_path();
    remote_code(controller, &path, serin_filter_module::SHA256)
}

fn remote_code(controller: &str, path: &str, sum: &str) -> Value {
    json!({"remote": {
        "http_uri": {"uri": format!("{controller}{path}"), "timeout": "30s", "cluster": "_"},
        "sha256": sum,
    }})
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
        Wanted {
            generation: 7,
            rules: vec![serde_json::from_value(rule).expect("a rule")],
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
        let object = place(&Owner::of_all("istio-system"), 0);
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
        let object =
            configuration(&Owner::of_all("istio-system"), 0, &wanted(), &code).expect("an object");
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
            let is_source = name == SOURCE;
            assert!(config.proxy.is_unnamed() && !config.after_another);
            assert_eq!(config.rules.len(), usize::from(is_source));
            assert_eq!(config.pods.len(), usize::from(!is_source));
        }
        assert_eq!(read(&object), wanted());
    }

    #[test]
    fn another_shard_has_names_of_its_own_and_stands_behind() {
        let object =
            configuration(&Owner::of_all("a"), 1, &wanted(), &json!({})).expect("an object");
        assert_eq!(object["metadata"]["name"], "serin-config-2");
        let names: Vec<&str> = configs(&object).iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["serin-source-2", "serin-destination-2"]);
        let place = place(&Owner::of_all("a"), 1);
        assert_eq!(place["metadata"]["name"], "serin-filter-2");
        assert_eq!(place["spec"]["priority"], 1);
        let (name, value) = configs(&object)[0];
        let text = &value["typed_config"]["config"]["configuration"]["value"];
        let text = text.as_str().expect("a text");
        let config = FilterConfig::from_json(text.as_bytes()).expect("is accepted");
        assert!(config.after_another && config.name == name);
    }

    #[test]
    fn a_part_of_the_mesh_has_objects_and_filters_of_its_own() {
        let owner = Owner {
            namespace: "istio-system".into(),
            part: Some("blue".into()),
        };
        let object = configuration(&owner, 1, &wanted(), &json!({})).expect("an object");
        assert_eq!(object["metadata"]["name"], "serin-config-blue-2");
        let names: Vec<&str> = configs(&object).iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["serin-source-blue-2", "serin-destination-blue-2"]);
        assert_eq!(place(&owner, 0)["metadata"]["name"], "serin-filter-blue");
    }

    #[test]
    fn a_configuration_tells_where_its_module_is() {
        let owner = Owner::of_all("a");
        let code = code_at("http://serin.serin:8090");
        let object = configuration(&owner, 0, &wanted(), &code).expect("an object");
        assert_eq!(code_of(&object), Some(code));
        let mut other = code_at("http://serin.serin:8090");
        other["remote"]["http_uri"]["uri"] = json!("http://elsewhere/filter.wasm");
        let object = configuration(&owner, 0, &wanted(), &other).expect("an object");
        assert_eq!(code_of(&object), None);
    }

    #[test]
    fn what_is_no_configuration_says_nothing() {
        assert_eq!(read(&json!({})), Wanted::default());
        let rest = Wanted {
            generation: 9,
            rules: Vec::new(),
        };
        let object = configuration(&Owner::of_all("a"), 0, &rest, &json!({})).expect("an object");
        assert_eq!(read(&object), rest);
    }

    #[test]
    fn at_rest_there_is_no_module() {
        let object = configuration(&Owner::of_all("a"), 0, &Wanted::default(), &json!({}))
            .expect("an object");
        for (_, value) in configs(&object) {
            let kind = value["typed_config"]["@type"].as_str().expect("a type");
            assert!(kind.ends_with("rbac.v3.RBAC"), "{kind}");
        }
    }

    #[test]
    fn what_the_filter_would_refuse_is_refused_here() {
        let mut wanted = wanted();
        wanted.rules[0].hosts = vec!["SHOP".into()];
        let refused =
            configuration(&Owner::of_all("a"), 0, &wanted, &json!({})).expect_err("is refused");
        assert!(
            refused.to_string().contains("rules[0].hosts[0]"),
            "{refused}"
        );
    }
}
