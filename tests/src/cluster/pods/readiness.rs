//! Whether a container is ready: as its probe finds, and as the pod's annotations want.

use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use std::convert::Infallible;
use std::future::pending;
use std::net::Ipv4Addr;
use std::time::Duration;

/// An annotation: the seconds before which no container of the pod is ready.
const READY_AFTER: &str = "tests.serin/ready-after";
/// An annotation: with `"true"`, no container of the pod is ever ready.
const NEVER_READY: &str = "tests.serin/never-ready";

/// How often a probe is sent, whatever its `periodSeconds`: tests are not to wait for them.
const PERIOD: Duration = Duration::from_millis(100);
/// How long a probe may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Whether the annotations let containers without a probe be ready at once.
pub(super) fn is_immediate(pod: &Pod) -> bool {
    !is_never(pod) && delay(pod).is_zero()
}

/// Tells whether the container is ready, each time that is found out. Never ends.
pub(super) async fn watch(
    http: &reqwest::Client,
    pod: &Pod,
    container: &Container,
    address: Ipv4Addr,
    tell: impl Fn(bool),
) -> Infallible {
    tokio::time::sleep(delay(pod)).await;
    if is_never(pod) {
        return pending().await;
    }
    let probe = container
        .readiness_probe
        .as_ref()
        .filter(|_| container.command.is_some());
    let Some((probe, url)) = probe.and_then(|p| Some((p, url(p, container, address)?))) else {
        tell(true);
        return pending().await;
    };
    let tolerated = probe.failure_threshold.unwrap_or(3);
    let mut failures = 0;
    loop {
        let answer = http.get(&url).send().await;
        // As a kubelet has it: redirections are successes too.
        if answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16())) {
            failures = 0;
            tell(true);
        } else {
            failures += 1;
            if failures >= tolerated {
                tell(false);
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn is_never(pod: &Pod) -> bool {
    pod.annotations()
        .get(NEVER_READY)
        .is_some_and(|value| value == "true")
}

fn delay(pod: &Pod) -> Duration {
    let seconds = pod.annotations().get(READY_AFTER);
    let seconds = seconds.and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(0.0))
}

/// What the probe asks; none if it is a probe of another kind, which counts as passed.
fn url(probe: &Probe, container: &Container, address: Ipv4Addr) -> Option<String> {
    let get = probe.http_get.as_ref()?;
    let port = match &get.port {
        IntOrString::Int(port) => *port,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports
                .find(|port| port.name.as_ref() == Some(name))?
                .container_port
        }
    };
    let path = get.path.as_deref().unwrap_or("/");
    Some(format!("http://{address}:{port}{path}"))
}
