//! What the story is told on: a namespace, a controller, a caller's proxy, a Prometheus and traffic.

use serde_json::Value;
use serin_demo::story::Teller;
use serin_tests::cluster::prometheus::Prometheus;
use serin_tests::cluster::proxy::Proxy;
use serin_tests::cluster::traffic::{Sending, Traffic};
use serin_tests::cluster::{Cluster, JSON, Process, wait_for};
use serin_tests::local::binary;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::manifests;

const ROLLOUT: &str = "/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts/shop";
const ACCOUNT: &str = include_str!("../../../../deploy/controller.yaml");
const PATIENCE: Duration = Duration::from_secs(90);

/// The stage.
pub(crate) struct Stage<'c> {
    cluster: &'c Cluster,
    pub(crate) namespace: String,
    teller: &'c Teller,
    began: Instant,
    proxy: Arc<Proxy>,
    _prometheus: Prometheus,
    _controller: Process,
}

impl<'c> Stage<'c> {
    /// Sets it: nothing but the Rollout is missing then.
    pub(crate) async fn set(cluster: &'c Cluster, teller: &'c Teller) -> Stage<'c> {
        let namespace = cluster.namespace("demo").await;
        cluster.apply(ACCOUNT, &namespace).await;
        let token = cluster.token_for("serin", "serin").await;
        let kubeconfig = cluster.kubeconfig_of(&token).display().to_string();
        let arguments = [
            "controller",
            "--kubeconfig",
            &kubeconfig,
            "--leader-election-namespace=serin",
            "--listen=127.0.0.1:0",
        ];
        let program = binary("serin");
        let program = program.to_str().expect("is text");
        let controller = cluster
            .start_program("controller", program, &arguments, &[])
            .await;
        let proxy = Arc::new(Proxy::caller(cluster, &namespace, "caller", &[]).await);
        let prometheus = Prometheus::start(cluster, &[&proxy]).await;
        let ground = manifests::ground(&prometheus.url(), &namespace);
        cluster.apply(&ground, &namespace).await;
        Stage {
            cluster,
            namespace,
            teller,
            began: Instant::now(),
            proxy,
            _prometheus: prometheus,
            _controller: controller,
        }
    }

    /// Applies a version of the Rollout, as `kubectl apply` does.
    pub(crate) async fn apply(&self, version: &str, errors: &str) {
        self.teller.command(&format!(
            "kubectl apply -f rollout.yaml   # image serin-demo:{version}"
        ));
        let rollout = manifests::rollout(version, errors).to_string();
        self.cluster.apply(&rollout, &self.namespace).await;
    }

    /// Runs a command of `serin` as a person would, in the cluster.
    pub(crate) fn serin(&self, arguments: &[&str]) {
        self.teller
            .command(&format!("serin {}", arguments.join(" ")));
        let output = Command::new(binary("serin"))
            .args(arguments)
            .args(["--namespace", &self.namespace])
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .output()
            .expect("serin runs");
        let texts = [output.stdout, output.stderr];
        for text in texts.map(|text| String::from_utf8_lossy(&text).into_owned()) {
            text.lines()
                .for_each(|line| self.teller.line(&format!("    {line}")));
        }
    }

    /// Sends requests as fast as a shop gets them, until it is told to stop.
    pub(crate) fn send(&self) -> Sending {
        let traffic = Traffic {
            rate: 200,
            ..Traffic::to(&self.host())
        };
        traffic.through(&self.proxy)
    }

    /// The version that answers a request, with the canary's header or without.
    pub(crate) fn ask(&self, with_header: bool) -> String {
        let (shown, headers): (&str, &[(&str, &str)]) = match with_header {
            true => ("-H 'X-Canary: true' ", &[("x-canary", "true")]),
            false => ("", &[]),
        };
        self.teller.command(&format!("curl {shown}http://shop"));
        let answer = self.proxy.get_with(80, &self.host(), "/", headers);
        let answer = answer.map_or_else(|error| error.to_string(), |answer| answer.body);
        self.teller.line(&format!("    {}", answer.trim()));
        answer.trim().to_string()
    }

    /// Waits until the caller's requests are answered.
    pub(crate) async fn until_answered(&self) {
        wait_for("the shop answers", PATIENCE, async || {
            match self.proxy.get(80, &self.host(), "/") {
                Ok(answer) if answer.status == 200 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Tells of the Rollout while it changes, until it is as `is` says; it comes back.
    ///
    /// # Panics
    /// If it takes too long.
    pub(crate) async fn watch(&self, is: impl Fn(&Value) -> bool) -> Value {
        let (path, started) = (ROLLOUT.replace("{}", &self.namespace), Instant::now());
        let mut told = String::new();
        loop {
            let rollout = self.cluster.ask("GET", &path, JSON, None).await;
            let line = told_of(&rollout);
            if line != told {
                let seconds = self.began.elapsed().as_secs_f64();
                self.teller.line(&format!("  {seconds:>5.1} s  {line}"));
                told = line;
            }
            let generation = rollout["metadata"]["generation"].to_string();
            if rollout["status"]["observedGeneration"] == generation && is(&rollout) {
                return rollout;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{}",
                self.cluster.log("controller")
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn host(&self) -> String {
        format!("shop.{}.svc.cluster.local", self.namespace)
    }
}

/// The phase, why, the step and the weight.
fn told_of(rollout: &Value) -> String {
    let status = &rollout["status"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let message: String = text(&status["message"]).chars().take(70).collect();
    let why = if message.is_empty() {
        String::new()
    } else {
        format!(" - {message}")
    };
    let steps = rollout["spec"]["strategy"]["canary"]["steps"].as_array();
    let steps = steps.map_or(0, Vec::len);
    let step = match status["currentStepIndex"].as_u64() {
        Some(index) => format!(", step {index}/{steps}"),
        None => String::new(),
    };
    let weight = status["canary"]["weights"]["canary"]["weight"].as_u64();
    format!(
        "{}{why}{step}, weight {} %",
        text(&status["phase"]),
        weight.unwrap_or(0)
    )
}
