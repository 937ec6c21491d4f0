//! Waiting for what takes its time, and what was seen last if it takes too long.

use std::time::Duration;
use tokio::time::Instant;

/// Looks until it is there, and returns what was found: `look` says what it sees instead.
///
/// # Panics
/// If it is not there after `patience`.
pub async fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if started.elapsed() > patience => {
                panic!("not in {patience:?}: {what}\nlast seen: {seen}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
