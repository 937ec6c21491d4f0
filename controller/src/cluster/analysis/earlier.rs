//! What a run is for, and what came before it: a run in, the judge's subject and state out.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use serin_core::analysis::RunStatus;
use serin_core::analysis::ticking::Before;
use serin_core::revision::HASH_LABEL;

use super::object::blind_queries;
use crate::api::AnalysisRun;
use crate::cluster::answered::answered;
use crate::cluster::sets::REVISION;
use crate::provider::compare::Subject;

/// What a judge's tick goes on from. Only its first asks for the runs of earlier steps.
///
/// # Errors
/// Why these cannot be listed.
pub(super) async fn before(
    client: &Client,
    run: &AnalysisRun,
    status: &RunStatus,
    name: &str,
) -> Result<Before, String> {
    let own = Before::of(status, &[], name);
    if own.has_counted() {
        return Ok(own);
    }
    let namespace = run.namespace().unwrap_or_default();
    let api = Api::<AnalysisRun>::namespaced(client.clone(), &namespace);
    let Some(hash) = run.labels().get(HASH_LABEL) else {
        return Ok(own);
    };
    let of_version = ListParams::default().labels(&format!("{HASH_LABEL}={hash}"));
    let runs = answered(|| api.list(&of_version)).await;
    let runs = runs.map_err(|status| format!("list AnalysisRuns: {}", status.message))?;
    let same = runs
        .items
        .iter()
        .filter(|other| of_same_release(run, other));
    let read = same.filter_map(|other| {
        let document = serde_json::to_value(&other.status).ok()?;
        super::status::read(&document).ok()
    });
    let read: Vec<RunStatus> = read.collect();
    let others: Vec<&RunStatus> = read.iter().collect();
    Ok(Before::of(status, &others, name))
}

/// Whether another run is of the same release. The version alone does not tell: one that is asked for
/// again, weeks later maybe, has the hash that it had, and a new revision number.
fn of_same_release(run: &AnalysisRun, other: &AnalysisRun) -> bool {
    let release = |run: &AnalysisRun| {
        let owner = run.owner_references().first()?.uid.clone();
        Some((owner, run.annotations().get(REVISION)?.clone()))
    };
    let own = release(run);
    own.is_some() && release(other) == own && other.uid() != run.uid()
}

/// What a run is for, by its owner and labels.
pub(super) fn subject(run: &AnalysisRun) -> Subject {
    let owners = run.owner_references().iter();
    let mut rollouts = owners.filter(|owner| owner.kind == "Rollout");
    Subject {
        rollout: rollouts.next().map(|owner| owner.name.clone()),
        namespace: run.namespace().unwrap_or_default(),
        revision: run.labels().get(HASH_LABEL).cloned(),
        blind_queries: blind_queries(run),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(uid: &str, owner: &str, revision: Option<&str>) -> AnalysisRun {
        let owner = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop",
            "uid": owner});
        let mut run = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": uid, "uid": uid, "labels": {HASH_LABEL: "b"},
                "ownerReferences": [owner]},
            "spec": {"metrics": []},
        });
        if let Some(revision) = revision {
            run["metadata"]["annotations"] = json!({ REVISION: revision });
        }
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn a_version_that_is_asked_for_again_has_no_earlier_steps() {
        let own = run("4", "shop", Some("4"));
        let same = |other| of_same_release(&own, &other);
        assert!(same(run("3", "shop", Some("4"))), "an earlier step");
        assert!(!same(run("2", "shop", Some("2"))), "an earlier release");
        assert!(!same(run("3", "shop, as it was", Some("4"))));
        assert!(!same(run("4", "shop", Some("4"))), "itself");
        let unknown = run("5", "shop", None);
        assert!(!of_same_release(&unknown, &run("6", "shop", None)));
    }
}
