//! Pods are what a kubelet makes of them.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use serin_tests::client::Client;
use serin_tests::cluster::{Cluster, wait_for};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::shop::{PATIENCE, address, app, deployment, is_ready, until_ready};
use crate::trial::trials;

trials![
    hundreds_without_a_process_become_ready,
    they_answer_at_their_addresses_which_are_in_endpoint_slices,
    the_process_of_a_deleted_one_is_gone,
    one_that_does_not_end_in_time_is_killed,
    one_that_fails_is_started_again_and_shown_so,
    those_of_jobs_succeed_and_fail,
    annotations_delay_and_deny_readiness,
];

async fn hundreds_without_a_process_become_ready(cluster: &Cluster) {
    const COUNT: usize = 600;
    let namespace = cluster.namespace("many").await;
    let deployment = deployment("many", COUNT, &json!({"containers": [idle()]}));
    cluster.apply(&deployment.to_string(), &namespace).await;
    until_ready(cluster, &namespace, COUNT).await;
}

async fn they_answer_at_their_addresses_which_are_in_endpoint_slices(cluster: &Cluster) {
    let namespace = cluster.namespace("answer").await;
    let app = app("shop", "v1", 2);
    cluster.apply(&app, &namespace).await;
    let pods = until_ready(cluster, &namespace, 2).await;

    let addresses: Vec<Ipv4Addr> = pods.iter().map(address).collect();
    for address in &addresses {
        let answer = Client::connect(SocketAddr::from((*address, 8080)))
            .and_then(|mut client| client.get("any", "/", &[]));
        assert_eq!(answer.expect("the pod answers").body, "v1\n");
    }

    let slices = Api::<EndpointSlice>::namespaced(cluster.client(), &namespace);
    wait_for("both addresses in slices", PATIENCE, async || {
        let slices = slices.list(&ListParams::default()).await;
        let slices = slices.map_err(|error| error.to_string())?.items;
        let endpoints = slices.iter().filter_map(|slice| slice.endpoints.as_ref());
        let endpoints = endpoints.flatten().filter(|endpoint| {
            let conditions = endpoint.conditions.as_ref();
            conditions.is_some_and(|conditions| conditions.ready == Some(true))
        });
        let found: Vec<&String> = endpoints.flat_map(|endpoint| &endpoint.addresses).collect();
        let wanted = |address: &Ipv4Addr| found.contains(&&address.to_string());
        let all = found.len() == 2 && addresses.iter().all(wanted);
        all.then_some(()).ok_or_else(|| format!("{found:?}"))
    })
    .await;
}

async fn the_process_of_a_deleted_one_is_gone(cluster: &Cluster) {
    let namespace = cluster.namespace("gone").await;
    cluster.apply(&app("shop", "v1", 1), &namespace).await;
    let pods = until_ready(cluster, &namespace, 1).await;
    let old = SocketAddr::from((address(&pods[0]), 8080));
    Client::connect(old).expect("the pod listens");
    // The controllers wait minutes for a pod that they first see when it is on its way out.
    let deployments = Api::<Deployment>::namespaced(cluster.client(), &namespace);
    wait_for("the controllers see the pod", PATIENCE, async || {
        let shop = deployments.get("shop").await;
        let status = shop.map_err(|error| error.to_string())?.status;
        let ready = status.as_ref().and_then(|status| status.ready_replicas);
        (ready == Some(1))
            .then_some(())
            .ok_or_else(|| format!("{status:?}"))
    })
    .await;

    let api = Api::<Pod>::namespaced(cluster.client(), &namespace);
    let name = pods[0].name_any();
    let deleted = api.delete(&name, &DeleteParams::default()).await;
    deleted.expect("the pod can be deleted");

    wait_for("nobody listens", PATIENCE, async || {
        let connected = Client::connect(old);
        connected.err().ok_or_else(|| "somebody listens".into())
    })
    .await;
    wait_for("another pod is there", PATIENCE, async || {
        let pods = list(&api).await?;
        match &pods[..] {
            [pod] if is_ready(pod) && address(pod) != old.ip() => Ok(()),
            _ => Err(pods.iter().map(Pod::name_any).collect()),
        }
    })
    .await;
}

async fn one_that_does_not_end_in_time_is_killed(cluster: &Cluster) {
    let namespace = cluster.namespace("stubborn").await;
    let stubborn = container(&["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]);
    let spec = json!({"containers": [stubborn], "terminationGracePeriodSeconds": 1});
    cluster
        .apply(&pod("stubborn", &spec, &json!({})), &namespace)
        .await;
    until_ready(cluster, &namespace, 1).await;
    let api = Api::<Pod>::namespaced(cluster.client(), &namespace);
    let deleted = api.delete("stubborn", &DeleteParams::default()).await;
    deleted.expect("the pod can be deleted");
    let asked = Instant::now();
    wait_for("the pod is gone", PATIENCE, async || {
        let pods = list(&api).await?;
        pods.is_empty()
            .then_some(())
            .ok_or_else(|| format!("{pods:?}"))
    })
    .await;
    let took = asked.elapsed();
    assert!(
        took > Duration::from_millis(900),
        "it had a second: {took:?}"
    );
}

async fn one_that_fails_is_started_again_and_shown_so(cluster: &Cluster) {
    let namespace = cluster.namespace("crash").await;
    let failing = container(&["sh", "-c", "exit 3"]);
    let spec = json!({"containers": [failing]});
    cluster
        .apply(&pod("crash", &spec, &json!({})), &namespace)
        .await;
    let api = Api::<Pod>::namespaced(cluster.client(), &namespace);
    wait_for("it was started again and waits", PATIENCE, async || {
        let status = container_status(&api, "crash").await?;
        let waiting = status
            .state
            .as_ref()
            .and_then(|state| state.waiting.as_ref());
        let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
        let last = status
            .last_state
            .as_ref()
            .and_then(|state| state.terminated.as_ref());
        let code = last.map(|last| last.exit_code);
        let seen = (reason, code, status.restart_count > 0, status.ready);
        let wanted = (Some("CrashLoopBackOff"), Some(3), true, false);
        (seen == wanted)
            .then_some(())
            .ok_or_else(|| format!("{status:?}"))
    })
    .await;
}

async fn those_of_jobs_succeed_and_fail(cluster: &Cluster) {
    let namespace = cluster.namespace("jobs").await;
    for (name, command) in [("good", "exit 0"), ("bad", "exit 1")] {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "template": {"spec": {
                "restartPolicy": "Never", "containers": [container(&["sh", "-c", command])]}}},
        });
        cluster.apply(&job.to_string(), &namespace).await;
    }
    let jobs = Api::<Job>::namespaced(cluster.client(), &namespace);
    for (name, condition) in [("good", "Complete"), ("bad", "Failed")] {
        wait_for(condition, PATIENCE, async || {
            let job = jobs.get(name).await.map_err(|error| error.to_string())?;
            let status = job.status.unwrap_or_default();
            let mut conditions = status.conditions.iter().flatten();
            let holds = conditions.any(|one| one.type_ == condition && one.status == "True");
            holds.then_some(()).ok_or_else(|| format!("{status:?}"))
        })
        .await;
    }
}

async fn annotations_delay_and_deny_readiness(cluster: &Cluster) {
    let namespace = cluster.namespace("unready").await;
    let spec = json!({"containers": [idle()]});
    let late = json!({"tests.serin/ready-after": "1.5"});
    let never = json!({"tests.serin/never-ready": "true"});
    let applied = Instant::now();
    cluster.apply(&pod("late", &spec, &late), &namespace).await;
    cluster
        .apply(&pod("never", &spec, &never), &namespace)
        .await;
    let api = Api::<Pod>::namespaced(cluster.client(), &namespace);
    wait_for("the late pod is ready", PATIENCE, async || {
        let status = container_status(&api, "late").await?;
        status
            .ready
            .then_some(())
            .ok_or_else(|| format!("{status:?}"))
    })
    .await;
    assert!(applied.elapsed() > Duration::from_millis(1500));
    let status = container_status(&api, "never")
        .await
        .expect("it has a status");
    assert!(!status.ready && status.started == Some(true), "{status:?}");
}

async fn list(api: &Api<Pod>) -> Result<Vec<Pod>, String> {
    let pods = api.list(&ListParams::default()).await;
    Ok(pods.map_err(|error| error.to_string())?.items)
}

/// What the status of a pod with one container says of that.
async fn container_status(api: &Api<Pod>, pod: &str) -> Result<ContainerStatus, String> {
    let pod = api.get(pod).await.map_err(|error| error.to_string())?;
    let status = pod.status.unwrap_or_default();
    let containers = status.container_statuses.clone().unwrap_or_default();
    containers
        .first()
        .cloned()
        .ok_or_else(|| format!("{status:?}"))
}

fn pod(name: &str, spec: &Value, annotations: &Value) -> String {
    let metadata = json!({"name": name, "annotations": annotations});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}).to_string()
}

fn container(command: &[&str]) -> Value {
    json!({"name": "app", "image": "app:1", "command": command})
}

/// A container that runs nothing.
fn idle() -> Value {
    json!({"name": "app", "image": "app:1"})
}
