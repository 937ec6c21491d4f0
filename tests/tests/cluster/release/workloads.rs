//! Where templates are from, and how many pods there are of which version.

use serde_json::{Value, json};
use serin_tests::cluster::traffic::Traffic;
use serin_tests::cluster::{Cluster, JSON, MERGE, wait_for};
use std::time::Duration;

use super::controller::{ARGO, World, is_in};
use super::flow::{caller, host, no_failure, until_answered};
use super::manifests::{all, by_host, rollout, service};
use crate::shop::{PATIENCE, app};
use crate::trial::trials;

trials![
    a_deployment_becomes_a_rollout_and_loses_no_request,
    a_deployment_gives_way_pod_by_pod_where_there_is_no_room_for_both,
    a_pod_template_is_a_template,
    pods_that_lost_their_rollout_are_found_again,
    what_a_manifest_says_of_pods_and_revisions_holds,
    replicas_follow_the_scale_subresource,
    stable_pods_give_way_to_canary_pods_and_are_back_before_an_abort_moves_traffic,
    services_take_turns,
    a_version_that_is_never_ready_is_taken_back_at_the_deadline,
    pods_are_dressed_for_their_role,
    an_instance_id_chooses_rollouts,
    a_taken_name_is_avoided_and_old_versions_go,
];

fn split(steps: &Value) -> Value {
    json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {"istio": {"virtualService": {"name": "shop"}}},
        "scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1,
        "steps": steps,
    })
}

fn half() -> Value {
    split(&json!([{"setWeight": 50}, {"pause": {}}]))
}

fn ground() -> [Value; 3] {
    [service("shop"), service("shop-canary"), by_host()]
}

/// A Rollout whose template is elsewhere.
fn with_workload(kind: &str, api_version: &str, canary: &Value) -> Value {
    let mut rollout = rollout("v1", 2, canary);
    let spec = rollout["spec"].as_object_mut().expect("a spec");
    spec.remove("template");
    spec.remove("selector");
    let reference = json!({"apiVersion": api_version, "kind": kind, "name": "shop"});
    spec.insert("workloadRef".to_string(), reference);
    rollout
}

async fn a_deployment_becomes_a_rollout_and_loses_no_request(cluster: &Cluster) {
    let world = World::new(cluster, "deployment").await;
    world.apply(&app("shop", "v1", 2)).await;
    world
        .apply(&all(&[service("shop-canary"), by_host()]))
        .await;
    let proxy = caller(&world, "v1").await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    let canary = half();
    let mut reference = with_workload("Deployment", "apps/v1", &canary);
    reference["spec"]["workloadRef"]["scaleDown"] = json!("onsuccess");
    world.apply(&reference.to_string()).await;
    world.until_phase("Healthy").await;
    wait_for("the Deployment gives way", PATIENCE, async || {
        let deployment = world.get("/apis/apps/v1", "deployments/shop").await;
        let left = &deployment["status"]["replicas"];
        let done = deployment["spec"]["replicas"] == 0 && (left.is_null() || *left == 0);
        done.then_some(())
            .ok_or_else(|| format!("{deployment}\n{}", world.log()))
    })
    .await;
    assert_eq!(world.pods().await.len(), 2);

    world.apply(&app("shop", "v2", 0)).await;
    let paused = world.until("the new template is on trial", |rollout| {
        is_in(rollout, "Paused")
    });
    let paused = paused.await;
    let deployment = world.get("/apis/apps/v1", "deployments/shop").await;
    assert_eq!(
        paused["status"]["workloadObservedGeneration"],
        deployment["metadata"]["generation"].to_string()
    );
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
    until_answered(&world, &proxy, false, "v2").await;
    no_failure(sending);
}

async fn a_deployment_gives_way_pod_by_pod_where_there_is_no_room_for_both(cluster: &Cluster) {
    let world = World::new(cluster, "progressively").await;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "room"},
        "spec": {"hard": {"pods": "3"}},
    });
    world.apply(&all(&[quota])).await;
    world.apply(&app("shop", "v1", 2)).await;
    wait_for("the Deployment has its pods", PATIENCE, async || {
        let deployment = world.get("/apis/apps/v1", "deployments/shop").await;
        let ready = deployment["status"]["readyReplicas"] == 2;
        ready.then_some(()).ok_or_else(|| deployment.to_string())
    })
    .await;
    let mut reference = with_workload("Deployment", "apps/v1", &json!({"steps": []}));
    reference["spec"]["workloadRef"]["scaleDown"] = json!("progressively");
    world.apply(&reference.to_string()).await;
    world.until_phase("Healthy").await;
    wait_for("the Deployment has given way", PATIENCE, async || {
        let deployment = world.get("/apis/apps/v1", "deployments/shop").await;
        let done = deployment["spec"]["replicas"] == 0;
        done.then_some(()).ok_or_else(|| deployment.to_string())
    })
    .await;
    assert_eq!(world.pods().await.len(), 2);
    // One pod less, then none.
    let deployment = world.get("/apis/apps/v1", "deployments/shop").await;
    assert_eq!(deployment["metadata"]["generation"], 3, "{deployment}");
}

async fn a_pod_template_is_a_template(cluster: &Cluster) {
    let world = World::new(cluster, "podtemplate").await;
    let template = rollout("v1", 2, &json!({}))["spec"]["template"].clone();
    let template = json!({
        "apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "shop"},
        "template": template,
    });
    let canary = json!({"steps": [{"setWeight": 50}]});
    let mut rollout = with_workload("PodTemplate", "v1", &canary);
    rollout["spec"]["selector"] = json!({"matchLabels": {"app": "shop"}});
    world.apply(&all(&[template, rollout])).await;
    world.until_phase("Healthy").await;
    assert_eq!(world.pods().await.len(), 2);
}

async fn replicas_follow_the_scale_subresource(cluster: &Cluster) {
    let world = World::new(cluster, "scaled").await;
    let canary = half();
    world.apply(&all(&ground())).await;
    world.apply(&rollout("v1", 2, &canary).to_string()).await;
    world.until_phase("Healthy").await;
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    world.until_phase("Paused").await;
    // What a HorizontalPodAutoscaler reads and writes.
    let scale = world
        .get(super::controller::ARGO, "rollouts/shop/scale")
        .await;
    assert_eq!(scale["status"]["selector"], "app=shop", "{scale}");
    assert_eq!(scale["status"]["replicas"], 3, "{scale}");
    let path = format!(
        "{}/namespaces/{}/rollouts/shop/scale",
        super::controller::ARGO,
        world.namespace
    );
    let four = json!({"spec": {"replicas": 4}});
    cluster.ask("PATCH", &path, MERGE, Some(four)).await;
    // Half of four for the canary beside all of stable.
    world.until_pods_are(6).await;
    world.until_phase("Paused").await;
    world.plugin(&["promote", "shop", "--full"]);
    world.until_phase("Healthy").await;
    world.until_pods_are(4).await;
}

async fn stable_pods_give_way_to_canary_pods_and_are_back_before_an_abort_moves_traffic(
    cluster: &Cluster,
) {
    let world = World::new(cluster, "dynamic").await;
    let mut canary = split(&json!([{"setWeight": 75}, {"pause": {}}]));
    canary["dynamicStableScale"] = json!(true);
    let fields = canary.as_object_mut().expect("an object");
    fields.remove("scaleDownDelaySeconds");
    world.apply(&all(&ground())).await;
    // Pods that serve are stopped, so they have to serve until every proxy knows.
    let drained = |version: &str| {
        let mut rollout = rollout(version, 4, &canary);
        let container = &mut rollout["spec"]["template"]["spec"]["containers"][0];
        container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 2}}});
        rollout.to_string()
    };
    world.apply(&drained("v1")).await;
    world.until_phase("Healthy").await;
    let proxy = caller(&world, "v1").await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    world.apply(&drained("v2")).await;
    let paused = world.until_phase("Paused").await;
    world.until_pods_are(4).await;
    let current = paused["status"]["currentPodHash"].as_str();
    let pods = world.pods().await;
    let new = pods.iter().filter(|(hash, _)| Some(&**hash) == current);
    assert_eq!(new.count(), 3, "{pods:?}");
    world.plugin(&["abort", "shop"]);
    world.until_phase("Degraded").await;
    until_answered(&world, &proxy, false, "v1").await;
    let stable = async || {
        let pods = world.pods().await;
        pods.iter()
            .filter(|(hash, _)| Some(&**hash) != current)
            .count()
    };
    assert_eq!(stable().await, 4, "{}", world.log());
    world.until_pods_are(4).await;
    no_failure(sending);
}

async fn services_take_turns(cluster: &Cluster) {
    let world = World::new(cluster, "turns").await;
    let canary = json!({
        "pingPong": {"pingService": "shop", "pongService": "shop-canary"},
        "trafficRouting": {"istio": {"virtualService": {"name": "shop"}}},
        "scaleDownDelaySeconds": 1,
        "steps": [{"setWeight": 50}, {"pause": {"duration": 1}}],
    });
    world.apply(&all(&ground())).await;
    world.apply(&rollout("v1", 2, &canary).to_string()).await;
    let healthy = world.until_phase("Healthy").await;
    assert_eq!(healthy["status"]["canary"]["stablePingPong"], "ping");
    let proxy = caller(&world, "v1").await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    for (version, turn) in [("v2", "pong"), ("v3", "ping")] {
        world.apply(&rollout(version, 2, &canary).to_string()).await;
        let healthy = world.until_phase("Healthy").await;
        assert_eq!(healthy["status"]["canary"]["stablePingPong"], turn);
        until_answered(&world, &proxy, false, version).await;
    }
    no_failure(sending);
}

async fn a_version_that_is_never_ready_is_taken_back_at_the_deadline(cluster: &Cluster) {
    let world = World::new(cluster, "deadline").await;
    let with_deadline = |version: &str| {
        let mut rollout = rollout(version, 2, &half());
        rollout["spec"]["progressDeadlineSeconds"] = json!(2);
        rollout["spec"]["progressDeadlineAbort"] = json!(true);
        rollout
    };
    world.apply(&all(&ground())).await;
    world.apply(&with_deadline("v1").to_string()).await;
    world.until_phase("Healthy").await;
    let proxy = caller(&world, "v1").await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    let mut bad = with_deadline("v2");
    bad["spec"]["template"]["metadata"]["annotations"] = json!({"tests.serin/never-ready": "true"});
    world.apply(&bad.to_string()).await;
    let degraded = world.until_phase("Degraded").await;
    let message = degraded["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("timed out progressing"), "{message}");
    assert_eq!(degraded["status"]["abort"], true);
    world.until_pods_are(2).await;
    until_answered(&world, &proxy, false, "v1").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    no_failure(sending);
}

async fn pods_are_dressed_for_their_role(cluster: &Cluster) {
    let world = World::new(cluster, "dressed").await;
    let mut canary = half();
    canary["canaryMetadata"] = json!({"labels": {"role": "canary"}});
    canary["stableMetadata"] = json!({"labels": {"role": "stable"}, "annotations": {"a": "b"}});
    world.apply(&all(&ground())).await;
    world.apply(&rollout("v1", 2, &canary).to_string()).await;
    world.until_phase("Healthy").await;
    until_roles_are(&world, &["stable", "stable"]).await;
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    world.until_phase("Paused").await;
    until_roles_are(&world, &["canary", "stable", "stable"]).await;
    world.plugin(&["promote", "shop", "--full"]);
    world.until_phase("Healthy").await;
    until_roles_are(&world, &["stable", "stable"]).await;
}

async fn until_roles_are(world: &World<'_>, expected: &[&str]) {
    wait_for(&format!("{expected:?}"), PATIENCE, async || {
        let list = world.get("/api/v1", "pods").await;
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        let role = |pod: &Value| {
            let role = pod["metadata"]["labels"]["role"].as_str();
            role.unwrap_or_default().to_string()
        };
        let mut roles: Vec<String> = pods.iter().filter(stays).map(role).collect();
        roles.sort();
        match roles == expected {
            true => Ok(()),
            false => Err(format!("{roles:?}\n{}", world.log())),
        }
    })
    .await;
}

async fn an_instance_id_chooses_rollouts(cluster: &Cluster) {
    const ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";
    let world = World::with_options(cluster, "instance", &["--instance-id=mine"]).await;
    let canary = json!({"steps": [{"setWeight": 50}]});
    let mut theirs = rollout("v1", 1, &canary);
    theirs["metadata"]["name"] = json!("theirs");
    let mut own = rollout("v1", 1, &canary);
    own["metadata"]["labels"] = json!({ID: "mine"});
    world.apply(&all(&[theirs, own])).await;
    let healthy = world.until_phase("Healthy").await;
    assert!(!healthy["status"]["serin"].is_null());
    let theirs = world.get(super::controller::ARGO, "rollouts/theirs").await;
    assert!(theirs["status"].is_null(), "{theirs}");
    let sets = world.get("/apis/apps/v1", "replicasets").await;
    let sets = sets["items"].as_array().cloned().unwrap_or_default();
    assert_eq!(sets.len(), 1, "{sets:?}");
}

async fn a_taken_name_is_avoided_and_old_versions_go(cluster: &Cluster) {
    let world = World::new(cluster, "names").await;
    let canary = json!({"steps": [{"setWeight": 50}]});
    let mut first = rollout("v1", 1, &canary);
    first["metadata"]["name"] = json!("first");
    world.apply(&first.to_string()).await;
    let path = "rollouts/first";
    let hash = wait_for("the template has a hash", PATIENCE, async || {
        let rollout = world.get(super::controller::ARGO, path).await;
        let hash = rollout["status"]["currentPodHash"].as_str();
        hash.map(str::to_string).ok_or_else(|| rollout.to_string())
    })
    .await;
    // The name that the same template gets in the other Rollout belongs to somebody else.
    let theirs = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("shop-{hash}")},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "theirs"}},
            "template": {"metadata": {"labels": {"app": "theirs"}},
                "spec": {"containers": [{"name": "c", "image": "c"}]}}},
    });
    world.apply(&theirs.to_string()).await;
    let limited = |version: &str| {
        let mut rollout = rollout(version, 1, &canary);
        rollout["spec"]["revisionHistoryLimit"] = json!(1);
        rollout.to_string()
    };
    world.apply(&limited("v1")).await;
    let healthy = world.until_phase("Healthy").await;
    assert_eq!(healthy["status"]["collisionCount"], 1, "{healthy}");
    assert_ne!(healthy["status"]["currentPodHash"], hash);
    for version in ["v2", "v3", "v4"] {
        world.apply(&limited(version)).await;
        world.until_phase("Healthy").await;
    }
    wait_for("one old version is left", PATIENCE, async || {
        let list = world.get("/apis/apps/v1", "replicasets").await;
        let sets = list["items"].as_array().cloned().unwrap_or_default();
        let name = |set: &Value| {
            let name = set["metadata"]["name"].as_str().unwrap_or_default();
            (name.to_string(), set["spec"]["replicas"].clone())
        };
        let mut sets: Vec<_> = sets.iter().map(name).collect();
        sets.retain(|(name, _)| name.starts_with("shop-"));
        // Theirs, the old one and the current one.
        match sets.len() {
            3 if sets.contains(&(format!("shop-{hash}"), json!(0))) => Ok(()),
            _ => Err(format!("{sets:?}\n{}", world.log())),
        }
    })
    .await;
}

/// As when a Rollout is deleted with `kubectl delete --cascade=orphan` and applied again, and when
/// somebody takes a ReplicaSet's owner away.
async fn pods_that_lost_their_rollout_are_found_again(cluster: &Cluster) {
    let world = World::new(cluster, "orphans").await;
    let manifest = rollout(
        "v1",
        2,
        &json!({"steps": [{"setWeight": 50}, {"pause": {}}]}),
    );
    let healthy = world.stand(std::slice::from_ref(&manifest)).await;
    let pods = world.pods().await;
    assert_eq!(pods.len(), 2, "{pods:?}");
    let path = format!("{ARGO}/namespaces/{}/rollouts/shop", world.namespace);
    let orphan = json!({"propagationPolicy": "Orphan"});
    cluster.ask("DELETE", &path, JSON, Some(orphan)).await;
    wait_for("it is gone", PATIENCE, async || {
        let rollout = world.rollout().await;
        (rollout["code"] == 404)
            .then_some(())
            .ok_or(rollout.to_string())
    })
    .await;
    assert_eq!(world.pods().await, pods);
    let again = world.stand(&[manifest]).await;
    assert_eq!(again["status"]["stableRS"], healthy["status"]["stableRS"]);
    assert_ne!(again["metadata"]["uid"], healthy["metadata"]["uid"]);

    let hash = again["status"]["stableRS"].as_str().unwrap_or_default();
    let path = format!("replicasets/shop-{hash}");
    let whole = format!("/apis/apps/v1/namespaces/{}/{path}", world.namespace);
    let nobody = json!({"metadata": {"ownerReferences": null}});
    cluster.ask("PATCH", &whole, MERGE, Some(nobody)).await;
    wait_for("it has its owner again", PATIENCE, async || {
        let set = world.get("/apis/apps/v1", &path).await;
        let owner = &set["metadata"]["ownerReferences"][0];
        let own = owner["uid"] == again["metadata"]["uid"] && owner["controller"] == true;
        own.then_some(()).ok_or(set.to_string())
    })
    .await;
    assert_eq!(world.pods().await, pods);
    let sets = world.get("/apis/apps/v1", "replicasets").await;
    assert_eq!(sets["items"].as_array().map(Vec::len), Some(1), "{sets}");
}

async fn what_a_manifest_says_of_pods_and_revisions_holds(cluster: &Cluster) {
    let world = World::new(cluster, "fields").await;
    let mut canary = split(&json!([{"setWeight": 10}, {"pause": {}}]));
    canary["minPodsPerReplicaSet"] = json!(2);
    canary["antiAffinity"] =
        json!({"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 7}});
    let version = |version: &str| {
        let mut rollout = rollout(version, 3, &canary);
        rollout["spec"]["minReadySeconds"] = json!(1);
        rollout["spec"]["rollbackWindow"] = json!({"revisions": 2});
        rollout
    };
    world.apply(&all(&ground())).await;
    let first = world.stand(&[version("v1")]).await;
    world.apply(&version("v2").to_string()).await;
    let paused = world.until_paused_at(1).await;
    let hash = |rollout: &Value, field: &str| rollout["status"][field].clone();
    let current = hash(&paused, "currentPodHash");
    let set = format!("replicasets/shop-{}", current.as_str().unwrap_or_default());
    let spec = world.get("/apis/apps/v1", &set).await["spec"].clone();
    assert_eq!(spec["replicas"], 2, "a tenth of three would be one");
    assert_eq!(spec["minReadySeconds"], 1);
    let apart = &spec["template"]["spec"]["affinity"]["podAntiAffinity"];
    let term = &apart["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(term["weight"], 7, "{spec}");
    assert!(
        term.to_string()
            .contains(first["status"]["stableRS"].as_str().unwrap_or("none")),
        "{term}"
    );
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
    // Within the window the way back has no steps.
    world.apply(&version("v1").to_string()).await;
    let back = world.until("it is back", |rollout| {
        let status = &rollout["status"];
        assert_ne!(status["phase"], "Paused", "{status}");
        is_in(rollout, "Healthy") && status["stableRS"] == first["status"]["stableRS"]
    });
    back.await;
}
