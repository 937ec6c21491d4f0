//! Objects as a controller of Rollouts leaves them, written by hand.

use http::Request;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use serin::api;
use serin_tests::api_server::{JSON, MERGE};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const GROUP: &str = "/apis/argoproj.io/v1alpha1";

/// Sends a body and reads the object that is answered.
pub(super) async fn send(
    client: &Client,
    method: &str,
    path: &str,
    kind: &str,
    body: Value,
) -> Value {
    let answer = client.request(request(method, path, kind, &body)).await;
    answer.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{body:#}"))
}

/// Reads an object.
pub(super) async fn get(client: &Client, path: &str) -> Value {
    send(client, "GET", path, JSON, Value::Null).await
}

/// Makes the API server know all kinds.
pub(super) async fn install(client: &Client) {
    let kinds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in api::definitions() {
        match kinds.create(&PostParams::default(), &definition).await {
            // Another test was faster.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            created => drop(created.expect("a definition")),
        }
    }
    let started = Instant::now();
    for definition in api::definitions() {
        // A kind is listed a little later than it is said to be established.
        let path = format!("{GROUP}/{}?limit=1", definition.spec.names.plural);
        while let Err(error) = client
            .request_text(request("GET", &path, JSON, &Value::Null))
            .await
        {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{path}: {error}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn request(method: &str, path: &str, kind: &str, body: &Value) -> Request<Vec<u8>> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", kind);
    let request = request.body(body.to_string().into_bytes());
    request.expect("is a request")
}

/// A namespace of a test's own.
pub(super) async fn namespace(client: &Client, name: &str) -> String {
    let name = format!("cli-{name}");
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    send(client, "POST", "/api/v1/namespaces", JSON, body).await;
    name
}

/// Allows a user to read Rollouts, and nothing else.
pub(super) async fn allow_reading_rollouts(client: &Client, user: &str) {
    const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"metadata": {"name": user}, "rules": [{"apiGroups": ["argoproj.io"],
        "resources": ["rollouts"], "verbs": ["get", "list", "watch"]}]});
    send(client, "POST", &format!("{RBAC}/clusterroles"), JSON, role).await;
    let group = "rbac.authorization.k8s.io";
    let binding = json!({"metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}]});
    send(
        client,
        "POST",
        &format!("{RBAC}/clusterrolebindings"),
        JSON,
        binding,
    )
    .await;
}

/// A Rollout in the middle of a release, with a ReplicaSet for each of its two revisions.
pub(super) struct Shop {
    pub(super) name: String,
    namespace: String,
    uid: String,
}

impl Shop {
    /// Creates it; what is said of its status is instead of what it is else.
    pub(super) async fn create(
        client: &Client,
        namespace: &str,
        name: &str,
        status: Value,
    ) -> Shop {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": name, "annotations": {"rollout.argoproj.io/revision": "2"}},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": name}},
                "strategy": {"canary": {
                    "canaryService": "canary", "stableService": "stable",
                    "trafficRouting": {"istio": {"virtualService": {"name": "shop"}}},
                    "steps": [{"setWeight": 5}, {"pause": {}}, {"setWeight": 50}],
                }},
                "template": template(name, "shop:new"),
            },
        });
        let path = format!("{GROUP}/namespaces/{namespace}/rollouts");
        let created = send(client, "POST", &path, JSON, rollout).await;
        let shop = Shop {
            name: name.to_string(),
            namespace: namespace.to_string(),
            uid: created["metadata"]["uid"]
                .as_str()
                .expect("a uid")
                .to_string(),
        };
        let mut whole = json!({
            "observedGeneration": created["metadata"]["generation"].to_string(),
            "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2,
            "HPAReplicas": 3, "selector": format!("app={name}"),
            "stableRS": "old", "currentPodHash": "new", "currentStepIndex": 1,
            "phase": "Paused", "message": "CanaryPauseStep", "controllerPause": true,
            "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-01-02T03:04:05Z"}],
            "canary": {"weights": {
                "canary": {"weight": 5, "podTemplateHash": "new", "serviceName": "canary"},
                "stable": {"weight": 95, "podTemplateHash": "old", "serviceName": "stable"}}},
            "blueGreen": {},
        });
        for (field, value) in status.as_object().expect("fields") {
            whole[field] = value.clone();
        }
        shop.set_status(client, whole).await;
        shop.create_set(client, "old", 1, 2).await;
        shop.create_set(client, "new", 2, 1).await;
        shop
    }

    /// Writes fields of its status.
    pub(super) async fn set_status(&self, client: &Client, status: Value) {
        let path = format!("{}/status", self.path());
        send(client, "PATCH", &path, MERGE, json!({ "status": status })).await;
    }

    /// Spec and status.
    pub(super) async fn content(&self, client: &Client) -> Value {
        let rollout = get(client, &self.path()).await;
        let content = json!({"spec": rollout["spec"], "status": rollout["status"]});
        nameless(&content, &self.name)
    }

    /// Deletes it.
    pub(super) async fn delete(&self, client: &Client) {
        send(client, "DELETE", &self.path(), JSON, json!({})).await;
    }

    /// Has its template in a Deployment of its name.
    pub(super) async fn with_deployment(&self, client: &Client) {
        let body = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": self.name},
            "spec": {"selector": {"matchLabels": {"app": self.name}},
                "template": template(&self.name, "shop:new")},
        });
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace);
        send(client, "POST", &path, JSON, body).await;
        let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name});
        let spec = json!({"spec": {"workloadRef": reference, "template": null}});
        let changed = send(client, "PATCH", &self.path(), MERGE, spec).await;
        let generation = changed["metadata"]["generation"].to_string();
        self.set_status(client, json!({"observedGeneration": generation}))
            .await;
    }

    /// Its pods: of the old revision two that run, of the new one that cannot.
    pub(super) async fn with_pods(&self, client: &Client) {
        let running = json!({"running": {"startedAt": "2026-01-02T03:04:05Z"}});
        let waiting = json!({"waiting": {"reason": "ImagePullBackOff"}});
        self.create_pod(client, "old", "1", &running).await;
        self.create_pod(client, "old", "2", &running).await;
        self.create_pod(client, "new", "1", &waiting).await;
    }

    /// An analysis run of a revision.
    pub(super) async fn with_run(&self, client: &Client, name: &str, revision: &str, phase: &str) {
        let body = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": name, "annotations": {"rollout.argoproj.io/revision": revision},
                "ownerReferences": [self.owner("argoproj.io/v1alpha1", "Rollout", &self.name, &self.uid)]},
            "spec": {"metrics": [{"name": "rate", "provider": {"web": {"url": "http://a", "jsonPath": "{$.a}"}}}]},
            "status": {"phase": phase, "metricResults": [
                {"name": "rate", "phase": phase, "successful": 2, "failed": 1, "count": 3},
                {"name": "errors", "phase": phase, "inconclusive": 1, "error": 4, "count": 1}]},
        });
        let path = format!("{GROUP}/namespaces/{}/analysisruns", self.namespace);
        send(client, "POST", &path, JSON, body).await;
    }

    fn path(&self) -> String {
        format!(
            "{GROUP}/namespaces/{}/rollouts/{}",
            self.namespace, self.name
        )
    }

    fn owner(&self, version: &str, kind: &str, name: &str, uid: &str) -> Value {
        json!({"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true})
    }

    fn set(&self, hash: &str) -> String {
        format!("{}-{hash}", self.name)
    }

    async fn create_set(&self, client: &Client, hash: &str, revision: u8, replicas: u8) {
        let mut template = template(&self.name, &format!("shop:{hash}"));
        template["metadata"]["labels"]["rollouts-pod-template-hash"] = json!(hash);
        let labels = template["metadata"]["labels"].clone();
        let body = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": self.set(hash), "labels": labels,
                "annotations": {"rollout.argoproj.io/revision": revision.to_string()},
                "ownerReferences": [self.owner("argoproj.io/v1alpha1", "Rollout", &self.name, &self.uid)]},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        });
        let path = format!("/apis/apps/v1/namespaces/{}/replicasets", self.namespace);
        send(client, "POST", &path, JSON, body).await;
        let ready = if hash == "old" { replicas } else { 0 };
        let status = json!({"status": {"observedGeneration": 1, "replicas": replicas,
            "readyReplicas": ready, "availableReplicas": ready}});
        let path = format!("{path}/{}/status", self.set(hash));
        send(client, "PATCH", &path, MERGE, status).await;
    }

    async fn create_pod(&self, client: &Client, hash: &str, suffix: &str, state: &Value) {
        let sets = format!("/apis/apps/v1/namespaces/{}/replicasets", self.namespace);
        let set = get(client, &format!("{sets}/{}", self.set(hash))).await;
        let uid = set["metadata"]["uid"].as_str().expect("a uid");
        let name = format!("{}-{suffix}", self.set(hash));
        let mut body = set["spec"]["template"].clone();
        body["apiVersion"] = json!("v1");
        body["kind"] = json!("Pod");
        body["metadata"]["name"] = json!(name);
        body["metadata"]["ownerReferences"] =
            json!([self.owner("apps/v1", "ReplicaSet", &self.set(hash), uid)]);
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        send(client, "POST", &path, JSON, body).await;
        let runs = state["running"].is_object();
        let container = |name: &str| {
            json!({"name": name, "image": "", "imageID": "", "restartCount": 1,
            "ready": runs, "state": state})
        };
        let ended = json!({"name": "mesh", "image": "", "imageID": "", "restartCount": 0,
            "ready": true, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        let is = |yes: bool| if yes { "True" } else { "False" };
        let status = json!({"status": {
            "phase": if runs { "Running" } else { "Pending" }, "podIP": "10.0.0.1",
            "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": is(runs)}],
            "initContainerStatuses": [ended], "containerStatuses": [container("app")]}});
        let path = format!("{path}/{name}/status");
        send(client, "PATCH", &path, MERGE, status).await;
    }
}

/// What is told apart by name, without it.
pub(super) fn nameless(value: &Value, name: &str) -> Value {
    let text = value.to_string();
    let text = text.replace(&format!("\"{name}\""), "\"NAME\"");
    let text = text.replace(&format!("app={name}"), "app=NAME");
    serde_json::from_str(&text).expect("is JSON")
}

fn template(app: &str, image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {
            "initContainers": [{"name": "mesh", "image": "mesh:7"}],
            "containers": [{"name": "app", "image": image, "ports": [{"containerPort": 8080}]}],
        },
    })
}
