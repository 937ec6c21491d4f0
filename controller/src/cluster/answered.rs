//! Asking the API server through an outage: requests in, answers out, be they refusals.

use std::time::Duration;

use kube::core::Status;

/// The first wait before a request is sent again; each wait is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait: the API server is back for this long at most before it is asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Sends a request until there is an answer. A request that the server cannot take now is sent
/// again, so it may be carried out twice.
///
/// # Errors
/// The refusal, or why there is no request or answer that will ever be read.
pub(crate) async fn answered<T, Asking>(mut ask: impl FnMut() -> Asking) -> Result<T, Box<Status>>
where
    Asking: Future<Output = kube::Result<T>>,
{
    let mut wait = FIRST_WAIT;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(kube::Error::Api(status)) if !for_now(&status) => return Err(status),
            Err(error) if !heals(&error) => {
                return Err(Status::failure(&error.to_string(), "BadRequest").boxed());
            }
            Err(error) => tracing::warn!(%error, ?wait, "the API server does not answer"),
        }
        tokio::time::sleep(wait).await;
        wait = (2 * wait).min(LONGEST_WAIT);
    }
}

/// Whether an error other than a refusal may be gone when the same is asked again.
fn heals(error: &kube::Error) -> bool {
    use kube::Error::{BuildRequest, HttpError, SerdeError};
    !matches!(error, BuildRequest(_) | HttpError(_) | SerdeError(_))
}

/// Whether the same request may be answered differently soon: the server has too much to do, or
/// something behind it is away.
fn for_now(status: &Status) -> bool {
    const TOO_MANY_REQUESTS: u16 = 429;
    const SERVER_ERRORS: std::ops::RangeInclusive<u16> = 500..=599;
    status.code == TOO_MANY_REQUESTS || SERVER_ERRORS.contains(&status.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_cannot_be_made_is_not_made_for_ever() {
        let ask = || async {
            let invalid = kube::core::request::Error::Validation("a name is empty".to_string());
            Err::<(), _>(kube::Error::BuildRequest(invalid))
        };
        let answered = tokio::time::timeout(Duration::from_secs(5), answered(ask));
        let status = answered.await.unwrap().unwrap_err();
        assert!(status.message.ends_with("a name is empty"), "{status:?}");
    }
}
