//! One measurement: its metric and the Secrets that it needs in, what came of it out.

use serin_core::analysis::{Draft, Measured, Outcome, Provider, ResolveError, Secrets};

use super::{Context, secrets};
use crate::clock;

/// Asks the provider of the metric at this index of a run in `namespace`.
pub(super) async fn ask(
    context: &Context,
    namespace: &str,
    draft: &Draft,
    metric: usize,
) -> Measured {
    let started = clock::now();
    let outcome = outcome(context, namespace, draft, metric).await;
    Measured {
        started,
        finished: clock::now(),
        outcome,
    }
}

async fn outcome(
    context: &Context,
    namespace: &str,
    draft: &Draft,
    metric: usize,
) -> Result<Outcome, String> {
    let (provider, secrets) = provider(context, namespace, draft, metric).await?;
    match context.asking.measure(&provider, clock::now()).await {
        Ok(outcome) => Ok(secrets::cut_out_of(outcome, &secrets)),
        Err(why) => Err(secrets::cut_out(&why, &secrets)),
    }
}

/// What measures, with all that comes from Secrets, and these.
///
/// # Errors
/// Why it cannot, without what Secrets hold.
pub(super) async fn provider(
    context: &Context,
    namespace: &str,
    draft: &Draft,
    metric: usize,
) -> Result<(Provider, Secrets), String> {
    let secrets = secrets::read(&context.client, namespace, draft.secrets(metric)).await?;
    match draft.provider(metric, &secrets) {
        Ok(provider) => Ok((provider, secrets)),
        // An error shows the beginning of a value, which may be the beginning of a Secret's.
        Err(ResolveError::Fields(errors)) if !secrets.is_empty() => {
            let paths: Vec<String> = errors.0.iter().map(|error| error.path.clone()).collect();
            let paths = paths.join(", ");
            Err(format!("{paths}: not accepted with the value of a Secret"))
        }
        Err(error) => Err(secrets::cut_out(&error.to_string(), &secrets)),
    }
}
