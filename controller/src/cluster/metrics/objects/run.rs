//! Gauges of AnalysisRuns.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use serin_core::analysis::ticking;

use super::labels;
use crate::api::{AnalysisRun, Free, FreeList};
use crate::cluster::metrics::text::{Labels, Metric, metric};

/// The gauges of all AnalysisRuns.
pub(super) struct Metrics {
    info: Metric,
    phase: Metric,
    metric_type: Metric,
    metric_phase: Metric,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            info: metric("analysis_run_info", "AnalysisRuns"),
            phase: metric("analysis_run_phase", "Whether an AnalysisRun is in a phase"),
            metric_type: metric("analysis_run_metric_type", "Metrics of AnalysisRuns"),
            metric_phase: metric(
                "analysis_run_metric_phase",
                "Whether a metric of an AnalysisRun is in a phase",
            ),
        }
    }
}

/// The phases of AnalysisRuns and of their metrics.
const PHASES: [&str; 6] = [
    "Pending",
    "Error",
    "Failed",
    "Successful",
    "Running",
    "Inconclusive",
];

impl Metrics {
    pub(super) fn all(self) -> Vec<Metric> {
        vec![self.info, self.phase, self.metric_type, self.metric_phase]
    }

    pub(super) fn add(&mut self, run: &AnalysisRun) {
        let labels = labels(run);
        let status = run.status.as_ref();
        let phase = status.map_or("", |status| &*status.phase);
        self.info.gauge(labels.clone().and("phase", phase), 1.0);
        add_phases(&mut self.phase, &labels, phase);
        let results = status.and_then(|status| status.metric_results.as_ref());
        let results = results.map(|results| &results.0[..]).unwrap_or_default();
        for metric in &run.spec.metrics.0 {
            let name = name(&metric.0);
            let labels = labels
                .clone()
                .and("metric", name)
                .and("type", provider(&metric.0));
            self.metric_type.gauge(labels.clone(), 1.0);
            let result = results.iter().find(|result| self::name(&result.0) == name);
            let field = |field: &str| result.and_then(|result| result.0.get(field));
            let dry = field("dryRun") == Some(&Value::Bool(true));
            let labels = labels.and("dry_run", dry.to_string());
            let phase = field("phase").and_then(Value::as_str).unwrap_or_default();
            add_phases(&mut self.metric_phase, &labels, phase);
        }
    }
}

fn add_phases(metric: &mut Metric, labels: &Labels, phase: &str) {
    for each in PHASES {
        let holds = each == phase || each == "Pending" && phase.is_empty();
        let labels = labels.clone().and("phase", each);
        metric.gauge(labels, f64::from(u8::from(holds)));
    }
}

/// A metric's name.
pub(super) fn name(metric: &BTreeMap<String, Value>) -> &str {
    let name = metric.get("name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// The provider of a metric as Argo Rollouts' metrics name it.
pub(super) fn provider(metric: &BTreeMap<String, Value>) -> &'static str {
    const PROVIDERS: [(&str, &str); 12] = [
        ("prometheus", "Prometheus"),
        ("job", "Job"),
        ("kayenta", "Kayenta"),
        ("web", "Web"),
        ("datadog", "Datadog"),
        ("wavefront", "Wavefront"),
        ("newRelic", "NewRelic"),
        ("cloudWatch", "CloudWatch"),
        ("graphite", "Graphite"),
        ("influxdb", "Influxdb"),
        ("skywalking", "skywalking"),
        ("plugin", "RPCPlugin"),
    ];
    let provider = metric.get("provider");
    let has = |field: &str| provider.is_some_and(|provider| provider.get(field).is_some());
    let known = PROVIDERS.into_iter().find(|(field, _)| has(field));
    known.map_or("Unknown Provider", |(_, name)| name)
}

/// What these gauges need of a run's metrics: names and providers, without what they ask for.
pub(in crate::cluster) fn outline(metrics: &mut FreeList, results: Option<&mut FreeList>) {
    for Free(metric) in &mut metrics.0 {
        metric.retain(|field, _| ["name", "provider"].contains(&field.as_str()));
        if let Some(Value::Object(provider)) = metric.get_mut("provider") {
            provider.values_mut().for_each(|asked| *asked = Value::Null);
        }
    }
    for Free(result) in results.into_iter().flat_map(|results| &mut results.0) {
        const KEPT: [&str; 3] = ["name", "phase", "dryRun"];
        let blind = only(result.get("metadata"), ticking::BLIND);
        let last = last_tick(result.get("measurements"));
        result.retain(|field, _| KEPT.contains(&field.as_str()));
        result.extend(blind.map(|said| ("metadata".to_string(), said)));
        result.extend(last.map(|last| ("measurements".to_string(), last)));
    }
}

/// Of the measurements the last, if it goes on tick by tick, with what it says: a Rollout's pass heeds
/// it, and needs no more.
fn last_tick(measurements: Option<&Value>) -> Option<Value> {
    const KEPT: [&str; 4] = ["phase", "message", "startedAt", "finishedAt"];
    let last = measurements?.as_array()?.last()?.as_object()?;
    let verdict = only(last.get("metadata"), ticking::VERDICT)?;
    let mut kept = last.clone();
    kept.retain(|field, _| KEPT.contains(&field.as_str()));
    kept.insert("metadata".to_string(), verdict);
    Some(json!([kept]))
}

/// Metadata with this entry alone, if it is there.
fn only(metadata: Option<&Value>, entry: &str) -> Option<Value> {
    let said = metadata?.get(entry)?;
    Some(json!({entry: said}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: Value) -> FreeList {
        serde_json::from_value(value).expect("a list")
    }

    #[test]
    fn an_outline_has_names_providers_and_phases_alone() {
        let mut metrics = list(json!([
            {"name": "errors", "interval": "5s", "provider": {"prometheus": {"query": "up"}}},
        ]));
        let mut results = list(json!([
            {"name": "errors", "phase": "Running", "dryRun": true, "measurements": [{}],
                "metadata": {"ResolvedPrometheusQuery": "up"}},
            {"name": "judge", "phase": "Running", "metadata": {"serin/blind": "blind: so"},
                "measurements": [{"phase": "Failed"}, {"phase": "Running", "value": "1",
                    "message": "holding", "startedAt": "2026-01-01T00:00:00Z",
                    "metadata": {"serin/verdict": "hold", "serin/state": "{}"}}]},
        ]));
        outline(&mut metrics, Some(&mut results));
        let outlined = json!([{"name": "errors", "provider": {"prometheus": null}}]);
        assert_eq!(metrics, list(outlined));
        let outlined = json!([
            {"name": "errors", "phase": "Running", "dryRun": true},
            {"name": "judge", "phase": "Running", "metadata": {"serin/blind": "blind: so"},
                "measurements": [{"phase": "Running", "message": "holding",
                    "startedAt": "2026-01-01T00:00:00Z", "metadata": {"serin/verdict": "hold"}}]},
        ]);
        assert_eq!(results, list(outlined));
        assert_eq!(provider(&metrics.0[0].0), "Prometheus");
    }
}
