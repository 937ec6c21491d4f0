//! What a run is for, and what came before it: a run in, the judge's subject and state out.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use serin_core::analysis::RunStatus;
use serin_core::analysis::ticking::Before;
use serin_core::revision::HASH_LABEL;

use super::object::blind_queries;
use crate::api::AnalysisRun;
use crate::cluster::answered::answered;
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
    if own != Before::default() {
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
    let owner = run.owner_references().first().map(|owner| &owner.uid);
    let same = |other: &&AnalysisRun| {
        let owner_of_other = other.owner_references().first().map(|owner| &owner.uid);
        owner.is_some() && owner_of_other == owner && other.uid() != run.uid()
    };
    let read = runs.items.iter().filter(same).filter_map(|other| {
        let document = serde_json::to_value(&other.status).ok()?;
        super::status::read(&document).ok()
    });
    let read: Vec<RunStatus> = read.collect();
    let others: Vec<&RunStatus> = read.iter().collect();
    Ok(Before::of(status, &others, name))
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
