//! What is compared: each variant is one listener with its routes, filters and access log.

use anyhow::Result;
use serde_json::{Value, json};
use serin::ecds;
use serin_bench::in_flight::{CANARY_PERCENT, MANY, Releases, USER_HEADER};
use serin_core::wire::VARIANT_HEADER;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::rules;

/// One listener.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// What the table says of it.
    pub(crate) title: &'static str,
    /// Whether a tenth of the requests must reach the canary, or none.
    pub(crate) splits: bool,
    routes: Value,
    filters: Vec<Value>,
    access_log: Vec<Value>,
}

/// The modules that wasm variants load.
pub(crate) struct Modules {
    pub(crate) noop: PathBuf,
    pub(crate) serin: PathBuf,
    /// What ECDS serves while no release is in flight.
    pub(crate) rest: PathBuf,
}

/// All of them, in the table's order.
pub(crate) fn all(modules: &Modules) -> Result<Vec<Variant>> {
    let plain = |name, title, splits, routes| Variant {
        name,
        title,
        splits,
        routes,
        filters: Vec::new(),
        access_log: Vec::new(),
    };
    let serin = |name, title, splits, rules: String| Variant {
        filters: vec![wasm(name, &modules.serin, &rules)],
        ..plain(name, title, splits, by_header())
    };
    let mesh = |name, title, releases: &Releases| -> Result<Variant> {
        Ok(Variant {
            filters: in_mesh(name, &modules.serin, releases)?,
            ..plain(name, title, true, by_header())
        })
    };
    let many = Releases::with_hosts(MANY);
    Ok(vec![
        plain("native", "native weights", true, by_weight(false)),
        plain(
            "twin",
            "the same again (checks the method)",
            true,
            by_weight(false),
        ),
        Variant {
            access_log: vec![stats_log()],
            ..plain(
                "native-log",
                "native weights, stats access log",
                true,
                by_weight(false),
            )
        },
        Variant {
            access_log: vec![stats_log()],
            ..plain(
                "native-sticky",
                "native sticky weights, stats access log",
                true,
                by_weight(true),
            )
        },
        Variant {
            filters: vec![lua()],
            access_log: vec![stats_log()],
            ..plain("lua", "Lua, full job, stats access log", true, by_header())
        },
        Variant {
            filters: vec![wasm("noop", &modules.noop, "")],
            ..plain(
                "noop",
                "proxy-wasm SDK, does nothing",
                true,
                by_weight(false),
            )
        },
        plain("bare", "no filter at all", false, by_header()),
        Variant {
            filters: vec![by_ecds(&modules.rest)],
            ..plain("rest", "serin, no release in flight", false, by_header())
        },
        Variant {
            filters: vec![wasm("idle-vm", &modules.serin, &rules::idle_text()?)],
            ..plain("idle-vm", "the same if it kept its VM", false, by_header())
        },
        serin("full", "serin, full job", true, rules::full(false)?),
        serin(
            "full-istio",
            "serin, full job and Istio's metrics",
            true,
            rules::full(true)?,
        ),
        mesh("mesh-1", "serin in a mesh, 1 host", &Releases::one())?,
        mesh("mesh-10000", "serin in a mesh, 10,000 hosts", &many)?,
    ])
}

impl Variant {
    fn listener(&self) -> Value {
        listener(self.name, &self.filters, &self.access_log, &self.routes)
    }
}

/// A listener on a free loopback port.
pub(crate) fn listener(
    name: &str,
    filters: &[Value],
    access_log: &[Value],
    routes: &Value,
) -> Value {
    let router = json!({"name": "router", "typed_config": {"@type":
        "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}});
    let filters: Vec<&Value> = filters.iter().chain([&router]).collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                  .http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "access_log": access_log,
        "http_filters": filters,
        "route_config": {"virtual_hosts": [
            {"name": "shop", "domains": ["*"], "routes": routes},
        ]},
    });
    json!({
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    })
}

/// Envoy's own split.
fn by_weight(sticky: bool) -> Value {
    let mut split = json!({"clusters": [
        {"name": "canary", "weight": CANARY_PERCENT},
        {"name": "stable", "weight": 100 - CANARY_PERCENT},
    ]});
    let mut action = json!({});
    if sticky {
        split["use_hash_policy"] = json!(true);
        action["hash_policy"] = json!([{"header": {"header_name": USER_HEADER}}]);
    }
    action["weighted_clusters"] = split;
    json!([{"match": {"prefix": "/"}, "route": action}])
}

/// The routes that follow a filter's decision.
fn by_header() -> Value {
    let says_canary = json!({"name": VARIANT_HEADER, "string_match": {"exact": "canary"}});
    json!([
        {"match": {"prefix": "/", "headers": [says_canary]}, "route": {"cluster": "canary"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "stable"}},
    ])
}

/// Counts by version and code, and latency, as Envoy does it natively.
fn stats_log() -> Value {
    let tags = json!([
        {"name": "variant", "value_format": "%UPSTREAM_CLUSTER%"},
        {"name": "response_code", "value_format": "%RESPONSE_CODE%"},
    ]);
    json!({"name": "stats", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
        "stat_prefix": "bench",
        "counters": [{"stat": {"name": "requests", "tags": tags}, "value_fixed": 1}],
        "histograms": [{
            "stat": {"name": "duration", "tags": tags},
            "unit": "Milliseconds",
            "value_format": "%DURATION%",
        }],
    }})
}

fn lua() -> Value {
    json!({"name": "lua", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": include_str!("split.lua")},
    }})
}

/// The filter as every proxy has it, with what its ECDS file says now.
fn by_ecds(file: &Path) -> Value {
    let source = json!({"resource_api_version": "V3", "path_config_source": {"path": file}});
    ecds::filter(rules::NAME, &source)
}

/// What ECDS serves while no release is in flight.
pub(crate) fn at_rest(module: &Path) -> Value {
    let code = json!({"local": {"filename": module}});
    json!({"resources": [ecds::extension(&rules::idle(), &code)]})
}

/// The filters that callers in a mesh have, one for each shard: all in one VM, which is theirs alone.
fn in_mesh(name: &str, module: &Path, releases: &Releases) -> Result<Vec<Value>> {
    let code = json!({"local": {"filename": module}});
    let objects = releases.objects("istio-system", 1, &code)?;
    let filters = objects.iter().map(|object| {
        let mut filter = object["spec"]["configPatches"][0]["patch"]["value"].clone();
        filter["typed_config"]["config"]["vm_config"]["vm_id"] = json!(name);
        filter
    });
    Ok(filters.collect())
}

/// A wasm filter in a VM of its own.
fn wasm(name: &str, module: &Path, configuration: &str) -> Value {
    json!({"name": name, "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": name,
            "root_id": name,
            "failure_policy": "FAIL_OPEN",
            "vm_config": {
                "vm_id": name,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module}},
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": configuration,
            },
        },
    }})
}

/// Envoy's whole configuration; the clusters are the upstreams by name.
pub(crate) fn bootstrap(variants: &[Variant], upstreams: &[(&str, SocketAddr)]) -> Value {
    bootstrap_of(variants.iter().map(Variant::listener).collect(), upstreams)
}

/// The same with these listeners.
pub(crate) fn bootstrap_of(listeners: Vec<Value>, upstreams: &[(&str, SocketAddr)]) -> Value {
    let clusters: Vec<Value> = upstreams
        .iter()
        .map(|(name, address)| {
            let endpoint = json!({"address": {"socket_address": {
                "address": address.ip().to_string(), "port_value": address.port()}}});
            json!({
                "name": name,
                "type": "STATIC",
                "connect_timeout": "5s",
                "load_assignment": {"cluster_name": name,
                    "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
            })
        })
        .collect();
    json!({
        "node": {"id": "bench", "cluster": "bench",
            "metadata": {"WORKLOAD_NAME": "gateway", "NAMESPACE": "default"}},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "static_resources": {
            "listeners": listeners,
            "clusters": clusters,
        },
    })
}
