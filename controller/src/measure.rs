//! One measurement: its metric and the Secrets that it needs in, what came of it out.

use serin_core::analysis::ticking::Before;
use serin_core::analysis::{Draft, Measured, Outcome, Provider, ResolveError, Secrets, Wanted};

use crate::clock;
use crate::provider::Asking;
use crate::provider::compare::Subject;
use crate::provider::hide::cut_out;
use crate::secrets::Keeper;

/// Why a metric cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hindered {
    /// What an argument takes from a Secret is not there: the run is over.
    Unresolved(String),
    /// Its provider cannot be made of what is there; it is tried again.
    Unfit(String),
}

/// What is to be measured.
pub(crate) struct Question<'a> {
    /// A run's metrics as written.
    pub(crate) draft: &'a Draft,
    /// The metric's index in it.
    pub(crate) metric: usize,
    /// What the run is for.
    pub(crate) subject: &'a Subject,
    /// What a judge goes on from, or why that cannot be told.
    pub(crate) before: Result<Before, String>,
}

/// Asks the provider of a metric.
///
/// # Errors
/// What an argument lacks.
pub(crate) async fn measure(
    keeper: &impl Keeper,
    asking: &Asking,
    question: Question<'_>,
) -> Result<Measured, String> {
    let started = clock::now();
    let outcome = match provider(keeper, question.draft, question.metric).await {
        Ok((provider, secrets)) => outcome(keeper, asking, &provider, secrets, question).await,
        Err(Hindered::Unfit(why)) => Err(why),
        Err(Hindered::Unresolved(why)) => return Err(why),
    };
    Ok(Measured {
        started,
        finished: clock::now(),
        outcome,
    })
}

async fn outcome(
    keeper: &impl Keeper,
    asking: &Asking,
    provider: &Provider,
    mut secrets: Secrets,
    question: Question<'_>,
) -> Result<Outcome, String> {
    let own = keeper.read(provider.secrets()).await;
    // A Secret's name may come from a Secret.
    secrets.extend(own.map_err(|why| cut_out(&why, &secrets))?);
    let (subject, now) = (question.subject, clock::now());
    match provider {
        Provider::Compare(compare) => {
            let before = question.before?;
            let asked = asking.tick(compare, &secrets, subject, &before, now);
            asked.await
        }
        other => asking.measure(other, &secrets, subject, now).await,
    }
}

/// What measures, with all that arguments bring from Secrets, and these.
///
/// # Errors
/// Why it cannot, without what Secrets hold.
pub(crate) async fn provider(
    keeper: &impl Keeper,
    draft: &Draft,
    metric: usize,
) -> Result<(Provider, Secrets), Hindered> {
    let wanted: Vec<Wanted> = draft
        .secrets(metric)
        .into_iter()
        .map(Wanted::from)
        .collect();
    let secrets = keeper.read(wanted).await;
    let secrets = secrets.map_err(|why| {
        Hindered::Unresolved(format!("Unable to resolve metric arguments: {why}"))
    })?;
    match draft.provider(metric, &secrets) {
        Ok(provider) => Ok((provider, secrets)),
        // An error shows the beginning of a value, which may be the beginning of a Secret's.
        Err(ResolveError::Fields(errors)) if !secrets.is_empty() => {
            let paths: Vec<String> = errors.0.iter().map(|error| error.path.clone()).collect();
            let paths = paths.join(", ");
            let why = format!("{paths}: not accepted with the value of a Secret");
            Err(Hindered::Unfit(why))
        }
        Err(error) => {
            let why = cut_out(&error.to_string(), &secrets);
            Err(Hindered::Unfit(why))
        }
    }
}
