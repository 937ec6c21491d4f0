//! One measurement: its metric and the Secrets that it needs in, what came of it out.

use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serin_core::analysis::ticking::Before;
use serin_core::analysis::{
    Draft, Measured, Outcome, Provider, ResolveError, RunStatus, Secrets, Wanted,
};
use serin_core::revision::HASH_LABEL;

use super::object::blind_queries;
use super::{Context, secrets, status};
use crate::api::AnalysisRun;
use crate::clock;
use crate::cluster::answered::answered;
use crate::provider::compare::Subject;
use crate::provider::hide::cut_out;

/// What is to be measured.
pub(super) struct Question {
    /// The run.
    pub(super) run: AnalysisRun,
    /// How it stands.
    pub(super) status: RunStatus,
    /// Its metrics as written.
    pub(super) draft: Draft,
    /// The metric's index in it.
    pub(super) metric: usize,
    /// The metric's name.
    pub(super) name: String,
}

/// Asks the provider of a metric.
pub(super) async fn ask(context: &Context, question: &Question) -> Measured {
    let started = clock::now();
    let outcome = outcome(context, question).await;
    Measured {
        started,
        finished: clock::now(),
        outcome,
    }
}

async fn outcome(context: &Context, question: &Question) -> Result<Outcome, String> {
    let namespace = &question.run.namespace().unwrap_or_default();
    let (provider, mut secrets) =
        provider(context, namespace, &question.draft, question.metric).await?;
    let own = secrets::read(&context.client, namespace, provider.secrets()).await;
    // A Secret's name may come from a Secret.
    secrets.extend(own.map_err(|why| cut_out(&why, &secrets))?);
    let asking = &context.asking;
    let subject = subject(question);
    let now = clock::now();
    match &provider {
        Provider::Compare(compare) => {
            let before = before(context, question).await?;
            let asked = asking.tick(compare, &secrets, &subject, &before, now);
            asked.await
        }
        other => asking.measure(other, &secrets, &subject, now).await,
    }
}

/// What a judge's tick goes on from. Only its first asks for the runs of earlier steps.
async fn before(context: &Context, question: &Question) -> Result<Before, String> {
    let Question {
        run, status, name, ..
    } = question;
    let own = Before::of(status, &[], name);
    if own != Before::default() {
        return Ok(own);
    }
    let namespace = run.namespace().unwrap_or_default();
    let api = Api::<AnalysisRun>::namespaced(context.client.clone(), &namespace);
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
        status::read(&document).ok()
    });
    let read: Vec<RunStatus> = read.collect();
    let others: Vec<&RunStatus> = read.iter().collect();
    Ok(Before::of(status, &others, name))
}

/// What a run is for, by its owner and labels.
fn subject(question: &Question) -> Subject {
    let run = &question.run;
    let owners = run.owner_references().iter();
    let mut rollouts = owners.filter(|owner| owner.kind == "Rollout");
    Subject {
        rollout: rollouts.next().map(|owner| owner.name.clone()),
        namespace: run.namespace().unwrap_or_default(),
        revision: run.labels().get(HASH_LABEL).cloned(),
        began: question.status.started_at.unwrap_or_else(clock::now),
        blind_queries: blind_queries(run),
    }
}

/// What measures, with all that arguments bring from Secrets, and these.
///
/// # Errors
/// Why it cannot, without what Secrets hold.
pub(super) async fn provider(
    context: &Context,
    namespace: &str,
    draft: &Draft,
    metric: usize,
) -> Result<(Provider, Secrets), String> {
    let wanted = draft.secrets(metric).into_iter().map(Wanted::from);
    let secrets = secrets::read(&context.client, namespace, wanted).await?;
    match draft.provider(metric, &secrets) {
        Ok(provider) => Ok((provider, secrets)),
        // An error shows the beginning of a value, which may be the beginning of a Secret's.
        Err(ResolveError::Fields(errors)) if !secrets.is_empty() => {
            let paths: Vec<String> = errors.0.iter().map(|error| error.path.clone()).collect();
            let paths = paths.join(", ");
            Err(format!("{paths}: not accepted with the value of a Secret"))
        }
        Err(error) => Err(cut_out(&error.to_string(), &secrets)),
    }
}
