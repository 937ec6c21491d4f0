//! Analysis runs.

use serde_json::Value;
use serin_core::step::RunPhase;

use crate::api::AnalysisRun;
use crate::view::RunView;

/// One run. The counts are of measurements, not of metrics.
pub(super) fn view(run: &AnalysisRun) -> RunView {
    let status = run.status.as_ref();
    let results = status.and_then(|status| status.metric_results.as_ref());
    let results = results.map_or(&[][..], |results| results.0.as_slice());
    let sum = |field: &str| {
        let counts = results.iter().filter_map(|result| result.0.get(field));
        let sum: u64 = counts.filter_map(Value::as_u64).sum();
        u32::try_from(sum).unwrap_or(u32::MAX)
    };
    RunView {
        name: run.metadata.name.clone().unwrap_or_default(),
        phase: phase(run),
        message: status
            .and_then(|status| status.message.clone())
            .unwrap_or_default(),
        created: super::created(&run.metadata),
        successful: sum("successful"),
        failed: sum("failed"),
        inconclusive: sum("inconclusive"),
        error: sum("error"),
    }
}

/// How far a run is; one that nobody has acted on is yet to begin.
pub(in crate::kubernetes) fn phase(run: &AnalysisRun) -> RunPhase {
    let phase = run.status.as_ref().map(|status| status.phase.clone());
    let phase = phase.map(|phase| serde_json::from_value(Value::String(phase)));
    phase.and_then(Result::ok).unwrap_or_default()
}
