//! An Envoy without an agent, which asks istiod itself: who it is and where istiod is goes into its
//! bootstrap.

use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;

use super::super::istiod::{CLUSTER_ID, XDS_PORT};
use super::super::network::NODE;
use super::{ADMIN_PORT, Command, Identity, Place, Role};
use crate::local::tool;

/// Envoy with its bootstrap.
pub(super) fn command(identity: &Identity, place: &Place) -> Command {
    let bootstrap = place.dir.join("bootstrap.json");
    let text = bootstrap_of(&node(identity, place.address)).to_string();
    fs::write(&bootstrap, text).expect("the bootstrap's file");
    let envoy = tool("envoy");
    let words = [
        &*envoy.to_string_lossy(),
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "warning",
        "--config-path",
        &bootstrap.to_string_lossy(),
    ];
    Command {
        words: words.map(String::from).to_vec(),
        environment: None,
    }
}

/// What istiod knows of a proxy.
fn node(identity: &Identity, address: Ipv4Addr) -> Value {
    let (namespace, name) = (identity.namespace, identity.name);
    let kind = identity.role.kind();
    let mut metadata = json!({
        "NAME": name, "NAMESPACE": namespace, "WORKLOAD_NAME": name, "LABELS": identity.labels(),
        "CLUSTER_ID": CLUSTER_ID, "ISTIO_VERSION": "1.31.0",
        "INSTANCE_IPS": address,
    });
    if identity.role == Role::Caller {
        // Nothing redirects its connections, so its listeners must take ports themselves.
        metadata["INTERCEPTION_MODE"] = json!("NONE");
    }
    json!({
        "id": format!("{kind}~{address}~{name}.{namespace}~{namespace}.svc.cluster.local"),
        "cluster": format!("{name}.{namespace}"),
        "metadata": metadata,
    })
}

fn bootstrap_of(node: &Value) -> Value {
    let address =
        |ip: Ipv4Addr, port: u16| json!({"socket_address": {"address": ip, "port_value": port}});
    let ads = json!({"ads": {}, "resource_api_version": "V3"});
    let istiod = json!({
        "name": "xds-grpc", "type": "STATIC", "connect_timeout": "5s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            },
        },
        "load_assignment": {"cluster_name": "xds-grpc", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(NODE, XDS_PORT)}}]}]},
    });
    json!({
        "node": node,
        "admin": {"address": address(Ipv4Addr::UNSPECIFIED, ADMIN_PORT)},
        "dynamic_resources": {
            "lds_config": ads, "cds_config": ads,
            "ads_config": {"api_type": "GRPC", "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}]},
        },
        "static_resources": {"clusters": [istiod]},
    })
}
