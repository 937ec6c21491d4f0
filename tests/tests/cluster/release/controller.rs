//! A controller for one namespace, and the programs that people use beside it.

use serde_json::Value;
use serin_tests::cluster::{Cluster, JSON, Process, wait_for};
use serin_tests::local::{binary, tool};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::contended::Contended;
use super::manifests::all;
use crate::account::{allow_own, token};
use crate::shop::PATIENCE;

/// A namespace with a controller of its own.
pub(super) struct World<'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) namespace: String,
    kubeconfig: PathBuf,
    controller: Process,
    starts: u32,
    options: Vec<String>,
}

/// A controller that is alone, so nobody need wait for its Lease when it is killed.
const ALONE: &[&str] = &["--leader-elect=false"];

impl<'c> World<'c> {
    /// With `serin controller`.
    pub(super) async fn new(cluster: &'c Cluster, prefix: &str) -> World<'c> {
        World::with_options(cluster, prefix, &[]).await
    }

    /// With one that need not wait for a Lease.
    pub(super) async fn alone(cluster: &'c Cluster, prefix: &str) -> World<'c> {
        World::with_options(cluster, prefix, ALONE).await
    }

    /// With these options in addition.
    pub(super) async fn with_options(
        cluster: &'c Cluster,
        prefix: &str,
        options: &'static [&'static str],
    ) -> World<'c> {
        let kubeconfig = cluster.kubeconfig_of(&token(cluster).await);
        World::as_told_by(cluster, prefix, kubeconfig, options).await
    }

    /// In a namespace that is there, with options that depend on what is in it.
    pub(super) async fn inside(
        cluster: &'c Cluster,
        namespace: String,
        options: Vec<String>,
    ) -> World<'c> {
        let kubeconfig = cluster.kubeconfig_of(&token(cluster).await);
        World::begin(cluster, namespace, kubeconfig, options).await
    }

    /// With one whose writes meet somebody who is faster.
    pub(super) async fn contended(cluster: &'c Cluster, prefix: &str) -> (World<'c>, Contended) {
        let token = token(cluster).await;
        let contended = Contended::start(cluster, &token).await;
        let kubeconfig = cluster.kubeconfig_through(&contended.url, &token);
        let world = World::as_told_by(cluster, prefix, kubeconfig, ALONE).await;
        (world, contended)
    }

    async fn as_told_by(
        cluster: &'c Cluster,
        prefix: &str,
        kubeconfig: PathBuf,
        options: &'static [&'static str],
    ) -> World<'c> {
        let namespace = cluster.namespace(prefix).await;
        let options = options.iter().map(ToString::to_string).collect();
        World::begin(cluster, namespace, kubeconfig, options).await
    }

    async fn begin(
        cluster: &'c Cluster,
        namespace: String,
        kubeconfig: PathBuf,
        options: Vec<String>,
    ) -> World<'c> {
        // Each test has a Lease of its own.
        allow_own(cluster, &namespace).await;
        let controller = serin(cluster, &namespace, 0, &kubeconfig, &options).await;
        World {
            cluster,
            namespace,
            kubeconfig,
            controller,
            starts: 0,
            options,
        }
    }

    /// With Argo Rollouts' own.
    pub(super) async fn with_argo(cluster: &'c Cluster, prefix: &str) -> World<'c> {
        let namespace = cluster.namespace(prefix).await;
        let kubeconfig = cluster.kubeconfig();
        let arguments = [
            "--kubeconfig",
            kubeconfig.to_str().expect("is text"),
            "--namespaced",
            "--namespace",
            &namespace,
            "--leader-elect=false",
            "--healthzPort",
            "0",
            "--metricsPort",
            "0",
        ];
        let log = format!("{namespace}/argo-rollouts");
        let program = tool("rollouts-controller");
        let program = program.to_str().expect("is text");
        let controller = cluster.start_program(&log, program, &arguments, &[]).await;
        World {
            cluster,
            namespace,
            kubeconfig: cluster.kubeconfig_of(&token(cluster).await),
            controller,
            starts: 0,
            options: ALONE.iter().map(ToString::to_string).collect(),
        }
    }

    /// Kills the controller, which gets no time to do anything.
    pub(super) async fn kill(&mut self) {
        self.controller.kill();
        self.controller.end().await;
    }

    /// Starts `serin controller`, which goes on where the one before was killed.
    pub(super) async fn start(&mut self) {
        self.controller = self.another().await;
    }

    /// Another controller beside the one that runs; what is logged is the other's from now on.
    pub(super) async fn another(&mut self) -> Process {
        self.starts += 1;
        let World {
            cluster,
            namespace,
            kubeconfig,
            starts,
            options,
            ..
        } = self;
        serin(cluster, namespace, *starts, kubeconfig, options).await
    }

    /// The same, which listens elsewhere.
    pub(super) async fn another_with(&mut self, listen: &str) -> Process {
        let options = self.options.clone();
        self.options
            .retain(|option| !option.starts_with("--listen="));
        self.options.push(listen.to_string());
        let another = self.another().await;
        self.options = options;
        another
    }

    /// The controller that was started first, or last after it was killed.
    pub(super) fn controller(&mut self) -> &mut Process {
        &mut self.controller
    }

    /// What the controller of this start logged last.
    pub(super) fn log_of(&self, start: u32) -> String {
        self.cluster.log(&log_of(&self.namespace, start))
    }

    /// Where the controller of this start answers over HTTP.
    pub(super) async fn web(&self, start: u32) -> String {
        let listens = wait_for("the controller listens", PATIENCE, async || {
            let log = self.log_of(start);
            let address = log.split("listen=").nth(1);
            let address = address.and_then(|rest| rest.split_whitespace().next());
            address.map(str::to_string).ok_or(log)
        });
        listens.await
    }

    /// What the controller logged last.
    pub(super) fn log(&self) -> String {
        self.cluster.log(&log_of(&self.namespace, self.starts))
    }

    pub(super) async fn apply(&self, yaml: &str) {
        self.cluster.apply(yaml, &self.namespace).await;
    }

    /// Runs Argo Rollouts' plugin; it must succeed.
    pub(super) fn plugin(&self, arguments: &[&str]) -> String {
        let (succeeds, told) = self.run(tool("kubectl-argo-rollouts"), arguments);
        assert!(succeeds, "{arguments:?}: {told}");
        told
    }

    /// Runs it; it must fail, and this is what it says.
    pub(super) fn plugin_fails(&self, arguments: &[&str]) -> String {
        let (succeeds, told) = self.run(tool("kubectl-argo-rollouts"), arguments);
        assert!(!succeeds, "{arguments:?}: {told}");
        told
    }

    /// Whether a program succeeds, and what it says.
    fn run(&self, program: PathBuf, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(&program)
            .args(["--namespace", &self.namespace])
            .args(arguments)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        (output.status.success(), out + &err)
    }

    /// An object, by its path below the namespace.
    pub(super) async fn get(&self, group: &str, path: &str) -> Value {
        let path = format!("{group}/namespaces/{}/{path}", self.namespace);
        self.cluster.ask("GET", &path, JSON, None).await
    }

    /// A Service or one of Istio's objects, without what is known of who wrote which field.
    pub(super) async fn given(&self, kind: &str, name: &str) -> Value {
        let group = if kind == "services" { "/api/v1" } else { ISTIO };
        let mut object = self.get(group, &format!("{kind}/{name}")).await;
        object["metadata"]["managedFields"].take();
        object
    }

    /// Deletes one of Istio's objects.
    pub(super) async fn delete(&self, kind: &str, name: &str) {
        let path = format!("{ISTIO}/namespaces/{}/{kind}/{name}", self.namespace);
        self.cluster.ask("DELETE", &path, JSON, None).await;
    }

    pub(super) async fn delete_rollout(&self) {
        let path = format!("{ARGO}/namespaces/{}/rollouts/shop", self.namespace);
        self.cluster.ask("DELETE", &path, JSON, None).await;
    }

    pub(super) async fn rollout(&self) -> Value {
        self.get(ARGO, "rollouts/shop").await
    }

    pub(super) async fn virtual_service(&self) -> Value {
        self.virtual_service_of("shop").await
    }

    /// A VirtualService by its name.
    pub(super) async fn virtual_service_of(&self, name: &str) -> Value {
        self.get(ISTIO, &format!("virtualservices/{name}")).await
    }

    /// Waits until the Rollout is as `is` says; it comes back.
    pub(super) async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.until_within(what, PATIENCE, is).await
    }

    /// Waits for so long.
    pub(super) async fn until_within(
        &self,
        what: &str,
        patience: Duration,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        let found = wait_for(what, patience, async || {
            let rollout = self.rollout().await;
            if is(&rollout) {
                Ok(rollout)
            } else {
                Err(format!("{}\n{}", rollout["status"], self.log()))
            }
        });
        found.await
    }

    /// Waits until this template's release is in a phase.
    pub(super) async fn until_phase(&self, phase: &str) -> Value {
        let what = format!("the Rollout is {phase}");
        self.until(&what, |rollout| is_in(rollout, phase)).await
    }

    /// Waits until this template's release waits at a step; it comes back.
    pub(super) async fn until_paused_at(&self, index: u64) -> Value {
        let what = format!("paused at step {index}");
        let paused = |rollout: &Value| {
            is_in(rollout, "Paused") && rollout["status"]["currentStepIndex"] == index
        };
        self.until(&what, paused).await
    }

    /// Applies objects, a Rollout among them, and waits until that is healthy.
    pub(super) async fn stand(&self, objects: &[Value]) -> Value {
        self.apply(&all(objects)).await;
        self.until_phase("Healthy").await
    }

    /// Waits until an analysis run is in a phase; it comes back.
    pub(super) async fn until_run(&self, name: &str, phase: &str) -> Value {
        wait_for(&format!("the run is {phase}"), PATIENCE, async || {
            let run = self.get(ARGO, &format!("analysisruns/{name}")).await;
            match run["status"]["phase"] == phase {
                true => Ok(run),
                false => Err(format!("{run}\n{}", self.log())),
            }
        })
        .await
    }

    /// Waits until there are so many pods.
    pub(super) async fn until_pods_are(&self, count: usize) {
        wait_for(&format!("there are {count} pods"), PATIENCE, async || {
            let pods = self.pods().await;
            match pods.len() == count {
                true => Ok(()),
                false => Err(format!("{pods:?}\n{}", self.log())),
            }
        })
        .await
    }

    /// The pods' names and uids, by template hash.
    pub(super) async fn pods(&self) -> Vec<(String, String)> {
        let list = self.get("/api/v1", "pods").await;
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let pods = pods
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let pods = pods.map(|pod| {
            let hash = &pod["metadata"]["labels"]["rollouts-pod-template-hash"];
            (text(hash), text(&pod["metadata"]["uid"]))
        });
        pods.filter(|(hash, _)| !hash.is_empty()).collect()
    }
}

/// Whether what is said of the manifest as it is now is this phase.
pub(super) fn is_in(rollout: &Value, phase: &str) -> bool {
    let generation = rollout["metadata"]["generation"].to_string();
    rollout["status"]["observedGeneration"] == generation && rollout["status"]["phase"] == phase
}

/// Where Rollouts are.
pub(super) const ARGO: &str = "/apis/argoproj.io/v1alpha1";
/// Where Istio's objects are.
pub(super) const ISTIO: &str = "/apis/networking.istio.io/v1";

fn log_of(namespace: &str, starts: u32) -> String {
    format!("{namespace}/controller-{starts}")
}

/// With the account and the role that are shipped, and nothing more.
async fn serin(
    cluster: &Cluster,
    namespace: &str,
    starts: u32,
    kubeconfig: &Path,
    options: &[String],
) -> Process {
    let arguments = [
        "controller",
        "--kubeconfig",
        kubeconfig.to_str().expect("is text"),
        "--namespace",
        namespace,
        "--leader-election-namespace",
        namespace,
    ];
    let listens = options.iter().any(|option| option.starts_with("--listen"));
    let listen: &[&str] = match listens {
        true => &[],
        false => &["--listen", "127.0.0.1:0"],
    };
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let arguments = [&arguments[..], listen, &options].concat();
    let program = binary("serin");
    let program = program.to_str().expect("is text");
    let log = log_of(namespace, starts);
    cluster.start_program(&log, program, &arguments, &[]).await
}
