//! An Envoy that Istio's agent starts, as in every pod of a mesh: the agent makes its bootstrap, asks
//! istiod for it, fetches Wasm modules, and tells the statistics of both.

use serde_json::json;

use super::super::{istiod, pods};
use super::{Command, Identity, Place, Role};
use crate::local::tool;

/// Where the agent keeps modules, in the directory of its own.
pub(super) const MODULES: &str = "lib/istio/data";

/// Where the agent tells the statistics.
pub(super) const STATUS_PORT: u16 = 15020;

/// Gives the agent a working directory, a /var/lib/istio/data and process numbers of its own, and
/// becomes the agent. It keeps modules in that directory, no option names another, and it does not
/// make it: without it every module is one that cannot be had. What else is in /var/lib stays there,
/// for tools or the checkout may be in it.
const START: &str = r#"
set -e
cd "$DIR"
mkdir -p was lib/istio/data
mount --rbind /var/lib was
for entry in "$DIR"/was/*; do
  [ "${entry##*/}" = istio ] || ln -s "$entry" lib/
done
mount --bind lib /var/lib
exec "$@"
"#;

/// The agent, which starts Envoy.
pub(super) fn command(identity: &Identity, place: &Place) -> Command {
    let agent = tool("pilot-agent");
    let bootstrap = agent.with_file_name("envoy_bootstrap.json");
    let words = [
        "unshare",
        "--mount",
        // With the first process of the numbers all others end: its Envoy too, however it ends.
        "--pid",
        "--fork",
        "--kill-child",
        "--",
        "sh",
        "-c",
        START,
        "sh",
        &agent.to_string_lossy(),
        "proxy",
        identity.role.kind(),
        "--templateFile",
        &bootstrap.to_string_lossy(),
    ];
    let mut environment = environment(identity);
    environment.extend([
        ("INSTANCE_IP", place.address.to_string()),
        ("DIR", place.dir.display().to_string()),
        ("PATH", pods::path()),
    ]);
    let environment = environment.into_iter();
    Command {
        words: words.map(String::from).to_vec(),
        // The agent would ask for modules through the machine's HTTP_PROXY.
        environment: Some(
            environment
                .map(|(name, value)| (name.into(), value))
                .collect(),
        ),
    }
}

/// What Istio's injector writes into a pod.
fn environment(identity: &Identity) -> Vec<(&'static str, String)> {
    let mut config = istiod::default_config();
    config["binaryPath"] = json!(tool("envoy"));
    config["concurrency"] = json!(1);
    config["statusPort"] = json!(STATUS_PORT);
    let mut environment = vec![
        ("POD_NAME", identity.name.to_string()),
        ("POD_NAMESPACE", identity.namespace.to_string()),
        ("ISTIO_META_WORKLOAD_NAME", identity.name.to_string()),
        ("ISTIO_META_CLUSTER_ID", istiod::CLUSTER_ID.to_string()),
        ("ISTIO_METAJSON_LABELS", identity.labels().to_string()),
        ("PROXY_CONFIG", config.to_string()),
        ("PILOT_CERT_PROVIDER", "none".to_string()),
        // Otherwise it asks three clouds' addresses and waits for their answers.
        ("CLOUD_PLATFORM", "none".to_string()),
    ];
    if identity.role == Role::Caller {
        // Nothing redirects its connections, so its listeners must take ports themselves.
        environment.push(("ISTIO_META_INTERCEPTION_MODE", "NONE".to_string()));
    }
    environment
}
