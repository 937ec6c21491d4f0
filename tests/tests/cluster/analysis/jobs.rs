//! Measurements that Jobs take.

use serde_json::{Value, json};
use serin_tests::cluster::{Cluster, JSON, wait_for};

use super::world::World;
use crate::shop::PATIENCE;
use crate::trial::trials;

trials![
    a_job_measures_by_how_it_ends,
    a_job_under_way_is_deleted_with_the_run_that_is_to_end,
    a_job_under_way_is_found_again,
    jobs_go_with_the_measurements_that_are_forgotten,
    a_job_that_cannot_be_made_is_an_error,
    a_job_of_somebody_else_measures_nothing,
];

/// A metric that a Job with this command measures.
fn metric(name: &str, command: &str) -> Value {
    let container = json!({"name": "c", "image": "sh", "command": ["sh", "-c", command]});
    json!({"name": name, "provider": {"job": {
        "metadata": {"labels": {"of": "tests"}},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never", "containers": [container],
            "terminationGracePeriodSeconds": 0}}},
    }}})
}

async fn a_job_measures_by_how_it_ends(cluster: &Cluster) {
    let world = World::new(cluster, "job").await;
    let with_argument = json!({
        "metrics": [metric("smoke", "test {{args.x}} = shop")],
        "args": [{"name": "x", "value": "shop"}],
    });
    world.create("good", with_argument).await;
    let bad = json!({"metrics": [metric("smoke", "exit 1")]});
    world.create("bad", bad).await;

    let good = world.ended("good").await;
    assert_eq!(good["status"]["phase"], "Successful", "{good}");
    let measurement = &good["status"]["metricResults"][0]["measurements"][0];
    let uid = good["metadata"]["uid"].as_str().expect("a uid");
    let name = format!("{uid}.smoke.1");
    let found_by = json!({"job-name": name, "job-namespace": world.namespace});
    assert_eq!(measurement["metadata"], found_by);
    let job = job(&world, &name).await;
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], uid, "{job}");
    assert_eq!(job["metadata"]["labels"]["of"], "tests");
    let bad = world.ended("bad").await;
    assert_eq!(bad["status"]["phase"], "Failed", "{bad}");
}

async fn a_job_under_way_is_deleted_with_the_run_that_is_to_end(cluster: &Cluster) {
    let world = World::new(cluster, "job-ended").await;
    let slow = metric("slow", "sleep 600");
    world.create("run", json!({"metrics": [slow]})).await;
    let name = started(&world, "run").await;
    world.terminate("run").await;
    let run = world.ended("run").await;
    assert_eq!(run["status"]["phase"], "Inconclusive", "{run}");
    let measurement = &run["status"]["metricResults"][0]["measurements"][0];
    assert_eq!(measurement["message"], "Metric Terminated");
    gone(&world, &name).await;

    let both = json!({"metrics": [metric("slow", "sleep 600"), metric("bad", "sleep 1; exit 1")]});
    world.create("both", both).await;
    let run = world.ended("both").await;
    assert_eq!(
        run["status"]["phase"], "Failed",
        "one that is bad ends both: {run}"
    );
}

async fn a_job_under_way_is_found_again(cluster: &Cluster) {
    let mut world = World::new(cluster, "job-again").await;
    let slow = metric("slow", "sleep 4");
    world.create("run", json!({"metrics": [slow]})).await;
    let name = started(&world, "run").await;
    world.begin_again();
    let run = world.ended("run").await;
    assert_eq!(run["status"]["phase"], "Successful", "{run}");
    assert_eq!(jobs(&world).await, [name]);
}

async fn jobs_go_with_the_measurements_that_are_forgotten(cluster: &Cluster) {
    let world = World::new(cluster, "job-many").await;
    let mut quick = metric("quick", "true");
    quick["interval"] = json!("1s");
    quick["count"] = json!(3);
    let retention = json!([{"metricName": "quick", "limit": 1}]);
    let spec = json!({"metrics": [quick], "measurementRetention": retention});
    world.create("run", spec).await;
    let run = world.ended("run").await;
    let result = &run["status"]["metricResults"][0];
    assert_eq!(result["successful"], 3, "{run}");
    wait_for("one Job is left", PATIENCE, async || {
        let jobs = jobs(&world).await;
        let one = jobs.len() == 1 && jobs[0].ends_with(".3");
        one.then_some(()).ok_or_else(|| format!("{jobs:?}"))
    })
    .await;
}

async fn a_job_that_cannot_be_made_is_an_error(cluster: &Cluster) {
    let world = World::new(cluster, "job-wrong").await;
    let mut wrong = metric("wrong", "true");
    wrong["provider"]["job"]["spec"]["template"]["spec"]["restartPolicy"] = json!("Sometimes");
    wrong["consecutiveErrorLimit"] = json!(0);
    world.create("run", json!({"metrics": [wrong]})).await;
    let run = world.ended("run").await;
    assert_eq!(run["status"]["phase"], "Error", "{run}");
    let message = &run["status"]["metricResults"][0]["message"];
    let text = message.as_str().expect("a message");
    assert!(text.contains("restartPolicy"), "{text}");
}

async fn a_job_of_somebody_else_measures_nothing(cluster: &Cluster) {
    let world = World::new(cluster, "job-theirs").await;
    let mut late = metric("late", "true");
    late["initialDelay"] = json!("2s");
    late["consecutiveErrorLimit"] = json!(0);
    world.create("run", json!({"metrics": [late]})).await;
    let uid = world.run("run").await["metadata"]["uid"].clone();
    let mut theirs = metric("theirs", "exit 1")["provider"]["job"].clone();
    theirs["apiVersion"] = json!("batch/v1");
    theirs["kind"] = json!("Job");
    let name = format!("{}.late.1", uid.as_str().unwrap_or_default());
    theirs["metadata"]["name"] = json!(name);
    cluster.apply(&theirs.to_string(), &world.namespace).await;
    let run = world.ended("run").await;
    assert_eq!(run["status"]["phase"], "Error", "{run}");
    let message = &run["status"]["metricResults"][0]["message"];
    let text = message.as_str().expect("a message");
    assert!(text.contains("not this measurement's"), "{text}");
    assert_eq!(jobs(&world).await, [name], "theirs stays");
}

/// Waits until a Job of the run is in its status; its name.
async fn started(world: &World<'_>, run: &str) -> String {
    let name = |run: &Value| {
        let measurement = &run["status"]["metricResults"][0]["measurements"][0];
        let under_way = measurement["phase"] == "Running" && measurement["finishedAt"].is_null();
        let name = measurement["metadata"]["job-name"].as_str();
        name.filter(|_| under_way).map(str::to_string)
    };
    let run = world
        .until(run, "a Job is started", |run| name(run).is_some())
        .await;
    name(&run).expect("has a Job")
}

async fn job(world: &World<'_>, name: &str) -> Value {
    let path = format!("{}/{name}", path(world));
    world.cluster.ask("GET", &path, JSON, None).await
}

async fn gone(world: &World<'_>, name: &str) {
    wait_for("the Job is gone", PATIENCE, async || {
        let job = job(world, name).await;
        let gone = job["code"] == 404;
        gone.then_some(()).ok_or_else(|| job.to_string())
    })
    .await;
}

/// The names of all Jobs.
async fn jobs(world: &World<'_>) -> Vec<String> {
    let list = world.cluster.ask("GET", &path(world), JSON, None).await;
    let items = list["items"].as_array().expect("a list");
    let name = |job: &Value| job["metadata"]["name"].as_str().map(str::to_string);
    items.iter().filter_map(name).collect()
}

fn path(world: &World<'_>) -> String {
    format!("/apis/batch/v1/namespaces/{}/jobs", world.namespace)
}
