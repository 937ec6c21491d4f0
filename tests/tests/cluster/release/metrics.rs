//! What the controller tells those who ask over HTTP.

use serde_json::json;
use serin_tests::cluster::prometheus::Prometheus;
use serin_tests::cluster::{Cluster, JSON, wait_for};

use super::controller::{ARGO, World, is_in};
use super::lease::get;
use super::manifests::{by_host, rollout, service, template};
use crate::shop::PATIENCE;
use crate::trial::trials;

trials![a_prometheus_reads_how_a_release_stands];

async fn a_prometheus_reads_how_a_release_stands(cluster: &Cluster) {
    let world = World::new(cluster, "metrics").await;
    let canary = json!({
        "canaryService": "shop-canary", "stableService": "shop",
        "trafficRouting": {"istio": {"virtualService": {"name": "shop"}}},
        "steps": [{"setWeight": 20}, {"pause": {}}],
        "analysis": {"templates": [{"templateName": "good"}], "startingStep": 1},
    });
    let web = world.web(0).await;
    let prometheus = Prometheus::reading(cluster, &web).await;
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_host(),
        template(&prometheus.url(), 1),
        rollout("v1", 2, &canary),
    ];
    world.stand(&ground).await;
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    let paused = world.until("paused", |rollout| is_in(rollout, "Paused"));
    paused.await;
    until(
        &prometheus,
        &web,
        &[
            (
                r#"rollout_info{strategy="canary",traffic_router="Istio",phase="Paused"}"#,
                1.0,
            ),
            (r#"rollout_phase{phase="Paused"}"#, 1.0),
            (r#"rollout_phase{phase="Completed"}"#, 0.0),
            ("rollout_info_replicas_desired", 2.0),
            ("rollout_info_replicas_updated", 1.0),
            ("rollout_canary_weight", 20.0),
            ("rollout_current_step", 1.0),
            ("rollout_steps", 2.0),
            (
                r#"rollout_events_total{type="Normal",reason="RolloutPaused"}"#,
                1.0,
            ),
            (
                r#"rollout_events_total{reason="TrafficWeightUpdated"}"#,
                1.0,
            ),
            ("sum(rollout_reconcile_count) > bool 3", 1.0),
            (r#"analysis_template_info{name="good"}"#, 1.0),
            (
                r#"analysis_template_metric_info{name="good",type="Prometheus"}"#,
                1.0,
            ),
            (r#"analysis_run_info{phase="Successful"}"#, 1.0),
            (r#"analysis_run_metric_type{type="Prometheus"}"#, 1.0),
            (
                r#"analysis_run_metric_phase{phase="Successful",dry_run="false"}"#,
                1.0,
            ),
            ("sum(analysis_run_reconcile_count) > bool 0", 1.0),
            (
                r#"sum(controller_clientset_k8s_request_total{kind="rollouts",verb="Patch",status_code="200"}) > bool 5"#,
                1.0,
            ),
            ("argo_rollouts_controller_info", 1.0),
        ],
    )
    .await;

    world.plugin(&["abort", "shop"]);
    world.until_phase("Degraded").await;
    until(
        &prometheus,
        &web,
        &[
            (r#"rollout_abort_info{reason=~".+"}"#, 1.0),
            (r#"rollout_info{phase="Abort"}"#, 1.0),
            ("rollout_canary_weight", 0.0),
            (
                r#"rollout_events_total{type="Warning",reason="RolloutAborted"}"#,
                1.0,
            ),
        ],
    )
    .await;
    assert_eq!(get(&web, "/healthz"), (200, "ok\n".to_string()));
    assert_eq!(get(&web, "/nowhere").0, 404);

    let path = format!("{ARGO}/namespaces/{}/rollouts/shop", world.namespace);
    cluster.ask("DELETE", &path, JSON, None).await;
    wait_for("the Rollout is forgotten", PATIENCE, async || {
        let text = get(&web, "/metrics").1;
        let told = text.lines().any(|line| line.starts_with("rollout_"));
        if told { Err(text) } else { Ok(()) }
    })
    .await;
}

/// Waits until each query is answered by this one value.
async fn until(prometheus: &Prometheus, web: &str, expected: &[(&str, f64)]) {
    for (query, value) in expected {
        wait_for(query, PATIENCE, async || {
            match prometheus.query(query).await {
                Ok(values) if values == [*value] => Ok(()),
                other => Err(format!("{other:?}\n{}", get(web, "/metrics").1)),
            }
        })
        .await;
    }
}
