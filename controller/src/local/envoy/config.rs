//! A mesh as Envoy's configuration: one JSON document per file that Envoy watches.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use serin_core::metric;
use serin_core::wire::{FilterConfig, VARIANT_HEADER, Variant};

use crate::ecds;

use super::mesh::{GATEWAY, Mesh, Routed, Workload};

/// The response header that says which ReplicaSet answered, for people with curl.
pub(crate) const ANSWERED_BY: &str = "x-serin-replica-set";

/// A document and its path in Envoy's directory.
pub(crate) type File = (PathBuf, Value);

/// Where Envoy finds its configuration and the module.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    /// The directory of all files that [`files`] names.
    pub root: PathBuf,
    /// The filter's module.
    pub module: PathBuf,
}

/// What Envoy starts with; all that changes is in the other files.
pub(crate) fn bootstrap(paths: &Paths, admin: SocketAddr) -> Value {
    let filter_tags = metric::LABELS
        .iter()
        .map(|label| json!({"tag_name": label, "regex": metric::tag_regex(label)}));
    let own_tags = [
        ("envoy.cluster_name", "cluster"),
        ("envoy.http_conn_manager_prefix", "http"),
    ]
    .map(|(tag, prefix)| json!({"tag_name": tag, "regex": format!(r"^{prefix}\.(([^.]+)\.)")}));
    let tags: Vec<Value> = filter_tags.chain(own_tags).collect();
    json!({
        "node": {"id": "serin-local", "cluster": "serin-local"},
        // Any local page may send requests here: what ends Envoy or changes it is not to be had.
        "admin": {"address": address(admin), "allow_paths": readable()},
        "dynamic_resources": {
            "lds_config": source(&paths.root, "lds.json"),
            "cds_config": source(&paths.root, "cds.json"),
        },
        // Analyses look every few seconds; Envoy's default of five would make each late.
        "stats_flush_interval": "1s",
        "stats_config": {
            "use_all_default_tags": false,
            "stats_tags": tags,
            "stats_matcher": {"inclusion_list": {"patterns": wanted_stats()}},
        },
    })
}

/// The admin's pages that only tell: for serin, Prometheus and a person who looks for a fault.
fn readable() -> Vec<Value> {
    let pages = [
        "/stats",
        "/clusters",
        "/config_dump",
        "/listeners",
        "/ready",
        "/server_info",
    ];
    pages.map(|page| json!({"prefix": page})).to_vec()
}

/// Prometheus reads all of them every second, so they are few: the filter's, and what shows that
/// nothing was refused, drained or lost.
fn wanted_stats() -> Vec<Value> {
    let prefixes = [
        "wasm",
        "server.",
        "listener_manager.",
        "cluster_manager.",
        "extension_config_discovery.",
    ];
    let regexes = [
        r"^cluster\..*\.(upstream_rq_(total|[1-5]xx|pending_overflow|retry)|upstream_cx_(total|connect_fail)|membership_(total|healthy)|update_(success|rejected|failure))$",
        r"^http\..*\.(downstream_rq_(total|[1-5]xx)|downstream_cx_(total|active|drain_close)|rds\..*)$",
    ];
    let prefixes = prefixes.map(|prefix| json!({"prefix": prefix}));
    let regexes = regexes.map(|regex| json!({"safe_regex": {"regex": regex}}));
    prefixes.into_iter().chain(regexes).collect()
}

/// Every file but the bootstrap, in the order they are to be written: what a file names exists
/// before it, and endpoints are in place before traffic is sent to them.
pub(crate) fn files(mesh: &Mesh, filters: &[FilterConfig], paths: &Paths) -> Vec<File> {
    let mut files = endpoints(mesh);
    files.push(("cds.json".into(), response(clusters(mesh, &paths.root))));
    files.push(route_file(GATEWAY, &gateway_routes(mesh)));
    for set in &mesh.sets {
        files.push(route_file(&set.inbound_name(), &inbound_routes(set)));
        files.push(route_file(
            &set.outbound_name(),
            &outbound_routes(mesh, set),
        ));
    }
    files.extend(filters.iter().map(|config| filter_file(config, paths)));
    files.push(("lds.json".into(), response(listeners(mesh, &paths.root))));
    files
}

fn response(resources: Vec<Value>) -> Value {
    json!({"resources": resources})
}

fn source(root: &Path, file: &str) -> Value {
    json!({
        "resource_api_version": "V3",
        "path_config_source": {"path": root.join(file)},
    })
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

fn endpoints(mesh: &Mesh) -> Vec<File> {
    let inbound = mesh
        .sets
        .iter()
        .map(|set| endpoint_file(&set.inbound_name(), &set.endpoints));
    let services = mesh.routed.iter().flat_map(|routed| {
        let selected = [
            (Variant::Stable, &routed.stable),
            (Variant::Canary, &routed.canary),
        ];
        selected.map(|(variant, hash)| {
            let set = mesh
                .sets
                .iter()
                .find(|set| set.rollout == routed.key && set.hash == *hash);
            let inbound: Vec<SocketAddr> = set.map(Workload::inbound).into_iter().collect();
            endpoint_file(&routed.cluster(variant), &inbound)
        })
    });
    inbound.chain(services).collect()
}

fn endpoint_file(cluster: &str, endpoints: &[SocketAddr]) -> File {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|endpoint| json!({"endpoint": {"address": address(*endpoint)}}))
        .collect();
    let assignment = json!({
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster,
        "endpoints": [{"lb_endpoints": endpoints}],
    });
    (
        format!("eds_{cluster}.json").into(),
        response(vec![assignment]),
    )
}

fn clusters(mesh: &Mesh, root: &Path) -> Vec<Value> {
    let services = mesh.routed.iter().flat_map(|routed| {
        [Variant::Stable, Variant::Canary].map(|variant| cluster(&routed.cluster(variant), root))
    });
    let inbound = mesh
        .sets
        .iter()
        .map(|set| cluster(&set.inbound_name(), root));
    services
        .chain(inbound)
        .chain([elsewhere_cluster()])
        .collect()
}

fn cluster(name: &str, root: &Path) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "EDS",
        "connect_timeout": "5s",
        "eds_cluster_config": {"eds_config": source(root, &format!("eds_{name}.json"))},
        // One machine: a queue is better than an error, as in a mesh with Istio's defaults.
        "circuit_breakers": {"thresholds": [{
            "max_connections": u32::MAX,
            "max_pending_requests": u32::MAX,
            "max_requests": u32::MAX,
            "max_retries": u32::MAX,
        }]},
    })
}

/// The name of the cluster for hosts that no Rollout has.
const ELSEWHERE: &str = "elsewhere";

fn dns_cache() -> Value {
    json!({"name": ELSEWHERE, "dns_lookup_family": "V4_PREFERRED"})
}

fn elsewhere_cluster() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": ELSEWHERE,
        "connect_timeout": "5s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                "dns_cache_config": dns_cache(),
            },
        },
    })
}

fn listeners(mesh: &Mesh, root: &Path) -> Vec<Value> {
    let gateway = listener(GATEWAY, mesh.gateway, "OUTBOUND", &[], root);
    let sets = mesh.sets.iter().flat_map(|set| {
        [
            listener(&set.inbound_name(), set.inbound(), "INBOUND", &[], root),
            listener(
                &set.outbound_name(),
                set.outbound(),
                "OUTBOUND",
                &[forward_proxy()],
                root,
            ),
        ]
    });
    std::iter::once(gateway).chain(sets).collect()
}

fn forward_proxy() -> Value {
    json!({
        "name": "envoy.filters.http.dynamic_forward_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
            "dns_cache_config": dns_cache(),
        },
    })
}

fn listener(name: &str, at: SocketAddr, direction: &str, filters: &[Value], root: &Path) -> Value {
    let mut chain = vec![ecds::filter(name, &source(root, &ecds_file(name)))];
    chain.extend_from_slice(filters);
    chain.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }));
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "address": address(at),
        "traffic_direction": direction,
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": name,
                "rds": {"route_config_name": name, "config_source": source(root, &format!("rds_{name}.json"))},
                "early_header_mutation_extensions": [no_variant_from_clients()],
                "http_filters": chain,
                "upgrade_configs": [{"upgrade_type": "websocket"}],
                "stream_idle_timeout": "0s",
            },
        }]}],
    })
}

/// Removes the routing header before any filter sees the request: with the filter missing or
/// broken nobody else would.
fn no_variant_from_clients() -> Value {
    json!({
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [{"remove": VARIANT_HEADER}],
        },
    })
}

fn filter_file(config: &FilterConfig, paths: &Paths) -> File {
    let code = json!({"local": {"filename": paths.module}});
    (
        ecds_file(&config.name).into(),
        response(vec![ecds::extension(config, &code)]),
    )
}

fn ecds_file(name: &str) -> String {
    format!("ecds_{name}.json")
}

fn route_file(name: &str, hosts: &[Value]) -> File {
    let routes = json!({
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": hosts,
        "ignore_port_in_host_matching": true,
    });
    (format!("rds_{name}.json").into(), response(vec![routes]))
}

fn gateway_routes(mesh: &Mesh) -> Vec<Value> {
    let known: Vec<String> = mesh
        .hosts(None)
        .split
        .into_iter()
        .filter_map(|hosts| hosts.into_iter().next())
        .collect();
    let mut hosts = virtual_hosts(mesh, None);
    hosts.push(json!({
        "name": ELSEWHERE,
        "domains": ["*"],
        "routes": [{
            "match": {"prefix": "/"},
            "direct_response": {
                "status": 404,
                "body": {"inline_string": format!("no Rollout has this host, expected one of {}\n", known.join(", "))},
            },
        }],
    }));
    hosts
}

fn outbound_routes(mesh: &Mesh, set: &Workload) -> Vec<Value> {
    let mut hosts = virtual_hosts(mesh, Some(&set.rollout.namespace));
    hosts.push(json!({
        "name": ELSEWHERE,
        "domains": ["*"],
        "routes": [{
            "match": {"prefix": "/"},
            "route": {"cluster": ELSEWHERE, "timeout": "0s"},
        }],
    }));
    hosts
}

fn inbound_routes(set: &Workload) -> Vec<Value> {
    vec![json!({
        "name": "inbound",
        "domains": ["*"],
        "routes": [{
            "match": {"prefix": "/"},
            "route": {
                "cluster": set.inbound_name(),
                "timeout": "0s",
                // In a mesh each pod has a proxy, and the caller tries another pod. Here one proxy
                // stands before all pods of a set, so it is the one that tries.
                "retry_policy": {"retry_on": "connect-failure,refused-stream", "num_retries": 2, "retry_host_predicate": previous_hosts(), "host_selection_retry_max_attempts": 5},
            },
            "response_headers_to_add": [{
                "header": {"key": ANSWERED_BY, "value": format!("{}-{}", set.rollout.name, set.hash)},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }],
        }],
    })]
}

fn virtual_hosts(mesh: &Mesh, namespace: Option<&str>) -> Vec<Value> {
    let hosts = mesh.hosts(namespace);
    let routed = mesh.routed.iter().zip(hosts.split).zip(hosts.canary);
    routed
        .flat_map(|((routed, split), canary)| {
            let name = |part: &str| format!("{part}_{}_{}", routed.key.name, routed.key.namespace);
            [
                (name("split"), split, split_routes(routed)),
                (
                    name("canary"),
                    canary,
                    vec![route(routed, Variant::Canary, json!({"prefix": "/"}))],
                ),
            ]
        })
        .filter(|(_, domains, _)| !domains.is_empty())
        .map(|(name, domains, routes)| json!({"name": name, "domains": domains, "routes": routes}))
        .collect()
}

/// The filter writes the header, the route follows it: without the filter everything is stable.
fn split_routes(routed: &Routed) -> Vec<Value> {
    let header =
        json!({"name": VARIANT_HEADER, "string_match": {"exact": Variant::Canary.as_str()}});
    vec![
        route(
            routed,
            Variant::Canary,
            json!({"prefix": "/", "headers": [header]}),
        ),
        route(routed, Variant::Stable, json!({"prefix": "/"})),
    ]
}

fn route(routed: &Routed, variant: Variant, matched: Value) -> Value {
    json!({
        "match": matched,
        "route": {
            "cluster": routed.cluster(variant),
            // Istio's defaults for a route: no timeout, two retries where nothing was done yet.
            "timeout": "0s",
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream,unavailable,cancelled",
                "num_retries": 2,
                "retry_host_predicate": previous_hosts(),
                "host_selection_retry_max_attempts": 5,
            },
        },
    })
}

fn previous_hosts() -> Value {
    json!([{
        "name": "envoy.retry_host_predicates.previous_hosts",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
    }])
}

#[cfg(test)]
mod tests;
