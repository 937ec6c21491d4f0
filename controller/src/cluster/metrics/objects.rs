//! Gauges of the objects that are held: Rollouts, AnalysisRuns and templates come in, metrics by
//! Argo Rollouts' names go out.

mod rollout;
pub(in crate::cluster) mod run;

use std::collections::BTreeMap;

use kube::ResourceExt;

use super::text::{Labels, Metric, metric};
use crate::api::AnalysisTemplateSpec;
use crate::cluster::reconcile::INSTANCE_ID;
use crate::cluster::watched::Held;

/// All gauges of all objects.
pub(super) fn metrics(held: &Held) -> Vec<Metric> {
    let mut rollouts = rollout::Metrics::default();
    let own =
        |labels: &BTreeMap<String, String>| labels.get(INSTANCE_ID) == held.instance_id.as_ref();
    let all = held.rollouts.state();
    for rollout in all.iter().filter(|rollout| own(rollout.labels())) {
        rollouts.add(rollout);
    }
    let mut runs = run::Metrics::default();
    let all = held.runs.state();
    for run in all.iter().filter(|run| own(run.labels())) {
        runs.add(run);
    }
    let mut templates = Templates::default();
    for template in held.templates.state() {
        templates.add(&labels(&*template), &template.spec);
    }
    for template in held.cluster_templates.state() {
        templates.add(&labels(&*template), &template.spec.template);
    }
    let templates = vec![templates.info, templates.metric_info];
    [rollouts.all(), runs.all(), templates]
        .into_iter()
        .flatten()
        .collect()
}

struct Templates {
    info: Metric,
    metric_info: Metric,
}

impl Default for Templates {
    fn default() -> Templates {
        Templates {
            info: metric("analysis_template_info", "Templates of analysis runs"),
            metric_info: metric(
                "analysis_template_metric_info",
                "Metrics of templates of analysis runs",
            ),
        }
    }
}

impl Templates {
    fn add(&mut self, labels: &Labels, template: &AnalysisTemplateSpec) {
        self.info.gauge(labels.clone(), 1.0);
        let metrics = template.metrics.iter().flat_map(|metrics| &metrics.0);
        for metric in metrics {
            let labels = labels
                .clone()
                .and("type", run::provider(&metric.0))
                .and("metric", run::name(&metric.0));
            self.metric_info.gauge(labels, 1.0);
        }
    }
}

/// The labels that every metric of an object has.
fn labels(object: &impl ResourceExt) -> Labels {
    Labels::default()
        .and("namespace", object.namespace().unwrap_or_default())
        .and("name", object.name_any())
}
