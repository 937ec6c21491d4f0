//! A mesh of one proxy, with releases in flight: in goes a change, out comes how long it took.

use http::Request;
use kube::Client;
use serde_json::Value;
use serin::mesh::objects::{self, Owner, SOURCE};
use serin_bench::in_flight::Releases;
use serin_bench::push::Pushes;
use serin_tests::cluster::Cluster;
use serin_tests::cluster::proxy::Proxy;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often the proxy is looked at.
const LOOKS: Duration = Duration::from_millis(5);

const PATIENCE: Duration = Duration::from_secs(60);

/// The objects are in a namespace of their own, and so is the proxy that they are for.
pub(crate) struct Mesh {
    client: Client,
    namespace: String,
    proxy: Proxy,
    releases: Releases,
    code: Value,
    generation: Cell<u64>,
}

impl Mesh {
    /// Opens it with its first generation in force.
    pub(crate) async fn open(
        cluster: &Cluster,
        name: &str,
        releases: Releases,
        controller: &str,
    ) -> Mesh {
        let namespace = cluster.namespace(name).await;
        let proxy = Proxy::caller_by_agent(cluster, &namespace, "caller", &[]).await;
        let mesh = Mesh {
            client: cluster.client(),
            namespace,
            proxy,
            releases,
            code: objects::code_at(controller),
            generation: Cell::new(1),
        };
        let objects = mesh.objects();
        for shard in 0..objects.len() {
            let place = objects::place(&Owner::of_all(&mesh.namespace), shard);
            cluster.apply(&place.to_string(), &mesh.namespace).await;
        }
        // Something has to listen, or there is nowhere to put the filter.
        cluster.apply(SERVICE, &mesh.namespace).await;
        for object in &objects {
            mesh.write(object).await;
        }
        mesh.until_shown().await;
        mesh
    }

    /// Changes one weight.
    pub(crate) async fn change(&self, pushes: &mut Pushes) {
        self.generation.set(self.generation.get() + 1);
        let objects = self.objects();
        let changed = objects.first().expect("a first shard");
        let request = self.request(changed);
        let milliseconds = |since: Instant| since.elapsed().as_secs_f64() * 1_000.0;
        let started = Instant::now();
        self.send(request).await;
        pushes.written.push(milliseconds(started));
        self.until_shown().await;
        pushes.shown.push(milliseconds(started));
    }

    fn objects(&self) -> Vec<Value> {
        let objects = self
            .releases
            .objects(&self.namespace, self.generation.get(), &self.code);
        objects.expect("are within the limits")
    }

    async fn write(&self, object: &Value) {
        self.send(self.request(object)).await;
    }

    /// Server-side apply, as the controller writes.
    fn request(&self, object: &Value) -> Request<Vec<u8>> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let uri = format!(
            "/apis/{}/namespaces/{}/envoyfilters/{name}?fieldManager=serin&force=true",
            objects::API,
            self.namespace
        );
        Request::patch(uri)
            .header("content-type", "application/apply-patch+yaml")
            .header("accept", "application/json")
            .body(object.to_string().into_bytes())
            .expect("is a request")
    }

    async fn send(&self, request: Request<Vec<u8>>) {
        let answered = self.client.request_text(request).await;
        answered.unwrap_or_else(|error| panic!("write the object: {error}"));
    }

    /// Waits until the proxy routes by the generation, with the filter of the first shard.
    async fn until_shown(&self) {
        let generation = self.generation.get();
        let (of_first, value) = (format!("={SOURCE};"), format!(" {generation}"));
        let (started, mut seen) = (Instant::now(), String::new());
        while started.elapsed() < PATIENCE {
            // Unlike for Prometheus, the name is the filter's own here.
            let answer = self.proxy.admin("/stats?filter=serin_config_generation");
            seen = answer.map_or_else(|error| error.to_string(), |answer| answer.body);
            let shows = |line: &str| line.contains(&of_first) && line.trim_end().ends_with(&value);
            if seen.lines().any(shows) {
                return;
            }
            tokio::time::sleep(LOOKS).await;
        }
        panic!("generation {generation} is not shown in {PATIENCE:?}: {seen}");
    }
}

const SERVICE: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: http, port: 80}]}
"#;
