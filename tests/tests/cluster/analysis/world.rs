//! A namespace with a loop that measures its runs, and what tests do to these.

use serde_json::{Value, json};
use serin::cluster::metrics::Metrics;
use serin::cluster::{Scope, analysis};
use serin_tests::cluster::{Cluster, JSON, MERGE, wait_for};
use tokio::task::JoinHandle;

use crate::account::token;
use crate::shop::PATIENCE;

const INSTANCE_ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";

/// The namespace. The loop ends when this is dropped.
pub(super) struct World<'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) namespace: String,
    scope: Scope,
    token: String,
    measuring: JoinHandle<()>,
}

impl<'c> World<'c> {
    pub(super) async fn new(cluster: &'c Cluster, prefix: &str) -> World<'c> {
        World::begin(cluster, prefix, None).await
    }

    /// With a loop for the runs of an instance.
    pub(super) async fn of_instance(cluster: &'c Cluster, prefix: &str, id: &str) -> World<'c> {
        World::begin(cluster, prefix, Some(id.to_string())).await
    }

    async fn begin(cluster: &'c Cluster, prefix: &str, id: Option<String>) -> World<'c> {
        let namespace = cluster.namespace(prefix).await;
        let scope = Scope {
            namespace: Some(namespace.clone()),
            instance_id: id,
        };
        let token = token(cluster).await;
        let measuring = measure(cluster, &token, &scope);
        World {
            cluster,
            namespace,
            scope,
            token,
            measuring,
        }
    }

    /// Ends the loop where it stands, as a crash would, and begins another.
    pub(super) fn begin_again(&mut self) {
        self.measuring.abort();
        self.measuring = measure(self.cluster, &self.token, &self.scope);
    }

    pub(super) async fn create(&self, name: &str, spec: Value) {
        self.post(json!({"metadata": {"name": name}, "spec": spec}))
            .await;
    }

    pub(super) async fn create_with_status(&self, name: &str, spec: Value, status: Value) {
        self.post(json!({"metadata": {"name": name}, "spec": spec, "status": status}))
            .await;
    }

    /// Creates a run of an instance.
    pub(super) async fn create_for(&self, name: &str, spec: Value, id: &str) {
        let metadata = json!({"name": name, "labels": {INSTANCE_ID: id}});
        self.post(json!({"metadata": metadata, "spec": spec})).await;
    }

    async fn post(&self, mut run: Value) {
        run["apiVersion"] = json!("argoproj.io/v1alpha1");
        run["kind"] = json!("AnalysisRun");
        let path = self.path("");
        let created = self.cluster.ask("POST", &path, JSON, Some(run)).await;
        assert_eq!(created["kind"], "AnalysisRun", "{created}");
    }

    pub(super) async fn terminate(&self, name: &str) {
        self.patch(name, json!({"spec": {"terminate": true}})).await;
    }

    /// Changes the run; it comes back.
    pub(super) async fn patch(&self, name: &str, patch: Value) -> Value {
        let path = self.path(name);
        self.cluster.ask("PATCH", &path, MERGE, Some(patch)).await
    }

    pub(super) async fn run(&self, name: &str) -> Value {
        self.cluster.ask("GET", &self.path(name), JSON, None).await
    }

    /// Waits until the run has ended; it comes back.
    pub(super) async fn ended(&self, name: &str) -> Value {
        self.until(name, "the run has ended", |run| {
            !run["status"]["completedAt"].is_null()
        })
        .await
    }

    /// Waits until a metric of the run has been measured this often.
    pub(super) async fn measured(&self, name: &str, count: u64) -> Value {
        self.until(name, "it is measured", |run| {
            let results = run["status"]["metricResults"].as_array();
            let mut results = results.into_iter().flatten();
            results.any(|result| result["count"].as_u64() >= Some(count))
        })
        .await
    }

    pub(super) async fn gone(&self, name: &str) {
        self.until(name, "the run is gone", |run| run["code"] == 404)
            .await;
    }

    /// Waits until the run is as `is` says; it comes back.
    pub(super) async fn until(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, PATIENCE, async || {
            let run = self.run(name).await;
            if is(&run) {
                Ok(run)
            } else {
                Err(run.to_string())
            }
        })
        .await
    }

    fn path(&self, name: &str) -> String {
        let namespace = &self.namespace;
        let path = format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/analysisruns/{name}");
        path.trim_end_matches('/').to_string()
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        self.measuring.abort();
    }
}

fn measure(cluster: &Cluster, token: &str, scope: &Scope) -> JoinHandle<()> {
    let measuring = analysis::run(
        cluster.client_of(token),
        scope.clone(),
        None,
        Metrics::default(),
        std::future::pending(),
    );
    tokio::spawn(async move {
        measuring.await.expect("a loop that goes on");
    })
}
