//! How long a run is kept once it has ended: `spec.ttlStrategy`.

use std::time::Duration;

use serde_json::Value;
use serin_core::step::RunPhase;
use serin_core::time::Timestamp;
use tokio::sync::watch;

use super::status;
use super::store::Stored;
use crate::api::AnalysisRun;
use crate::clock;

/// Deletes an ended run when its time is over; returns when the object is gone, or to stay.
pub(super) async fn expire(stored: &Stored, seen: &mut watch::Receiver<AnalysisRun>) {
    let mut object = stored.object.clone();
    while let Some(over) = over(&object) {
        let left = over.since(clock::now());
        tokio::select! {
            changed = seen.changed() => {
                if changed.is_err() {
                    return;
                }
                object.spec = seen.borrow_and_update().spec.clone();
            }
            () = tokio::time::sleep(left) => return stored.delete().await,
        }
    }
}

/// When a run's time is over; none: it stays.
fn over(run: &AnalysisRun) -> Option<Timestamp> {
    let strategy = run.spec.ttl_strategy.as_ref()?;
    let status = serde_json::to_value(&run.status).ok()?;
    let status = status::read(&status).ok()?;
    let seconds = |name: &str| strategy.0.get(name).and_then(Value::as_u64);
    let own = match status.phase {
        RunPhase::Successful => seconds("secondsAfterSuccess"),
        RunPhase::Failed => seconds("secondsAfterFailure"),
        _ => None,
    };
    let time = Duration::from_secs(own.or_else(|| seconds("secondsAfterCompletion"))?);
    Some(status.completed_at?.plus(time))
}

/// Whether a run that has ended may have to be deleted some time.
pub(super) fn is_limited(run: &AnalysisRun) -> bool {
    over(run).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seconds(phase: &str, strategy: Value) -> Option<i64> {
        let run = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": {},
            "spec": {"metrics": [], "ttlStrategy": strategy},
            "status": {"phase": phase, "completedAt": "1970-01-01T00:00:00.001Z"},
        });
        over(&serde_json::from_value(run).unwrap()).map(|over| over.0 / 1_000)
    }

    #[test]
    fn the_verdicts_own_time_comes_before_that_of_all() {
        let all = json!({"secondsAfterCompletion": 1, "secondsAfterSuccess": 2,
            "secondsAfterFailure": 3});
        assert_eq!(seconds("Successful", all.clone()), Some(2));
        assert_eq!(seconds("Failed", all.clone()), Some(3));
        assert_eq!(seconds("Error", all.clone()), Some(1));
        assert_eq!(seconds("Inconclusive", all), Some(1));
        assert_eq!(seconds("Failed", json!({"secondsAfterSuccess": 2})), None);
        assert_eq!(
            seconds("Failed", json!({"secondsAfterCompletion": 0})),
            Some(0)
        );
        assert_eq!(seconds("Failed", json!(null)), None);
    }
}
