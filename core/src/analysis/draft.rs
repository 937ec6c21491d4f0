//! A run as an AnalysisRun's spec says it, its arguments beside its metrics: from templates or from
//! an object, to what is measured. What comes from Secrets is filled in for one measurement only.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::argument::{ArgContext, ArgValue, Lookup, SecretKey, run_arguments, substitute};
use super::metric::{Args, DEFAULT_RETENTION, Metric, Provider};
use super::resolve::{ResolveError, RunSpec};
use super::template::Template;
use super::wanted::Wanted;
use crate::field::{Field, FieldErrors, Report};
use crate::plan::AnalysisRef;

mod gather;
mod rule;

pub(super) use gather::chosen;

/// The spec of an AnalysisRun. What it takes from Secrets is in it by their names only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// Its metrics as written: `{{args.x}}` may stand in any text.
    pub metrics: Vec<Value>,
    /// Its arguments.
    pub args: BTreeMap<String, ArgValue>,
    /// Rules for the metrics that are only watched.
    pub dry_run: Vec<Value>,
    /// Rules for how many measurements are kept.
    pub measurement_retention: Vec<Value>,
}

/// Where Secrets are where there is no cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalSecrets {
    /// Nowhere.
    #[default]
    Nowhere,
    /// In a file that the user named.
    InFile,
}

/// What Secrets hold.
pub type Secrets = BTreeMap<SecretKey, String>;

impl Draft {
    /// Gathers what a Rollout's analysis refers to. `templates` are all that it may refer to.
    ///
    /// # Errors
    /// What is not there or has no value.
    pub fn draw_up(
        templates: &[Template],
        analysis: &AnalysisRef,
        context: &ArgContext<'_>,
    ) -> Result<Draft, ResolveError> {
        gather::gather(templates, analysis, *context)
    }

    /// Reads the `spec` of an AnalysisRun, whoever wrote it.
    ///
    /// # Errors
    /// Every field that is wrong, with its value and what is accepted.
    pub fn read(spec: &Value) -> Result<Draft, FieldErrors> {
        let report = Report::default();
        let field = Field::root("spec", spec, &report);
        field.only(&[
            "metrics",
            "args",
            "dryRun",
            "measurementRetention",
            "terminate",
            "ttlStrategy",
        ]);
        let list = |name| {
            let found = field.optional(name);
            let all = found.map(|list| list.list()).unwrap_or_default();
            all.iter().map(|each| each.value().clone()).collect()
        };
        let args = field.optional("args").map(|args| run_arguments(&args));
        let draft = Draft {
            metrics: list("metrics"),
            args: args.unwrap_or_default().into_iter().collect(),
            dry_run: list("dryRun"),
            measurement_retention: list("measurementRetention"),
        };
        report.finish(Some(draft))
    }

    /// The `spec` of the AnalysisRun, which [`Draft::read`] reads.
    pub fn document(&self) -> Value {
        let arg = |(name, value): (&String, &ArgValue)| match value {
            ArgValue::Text(text) => json!({"name": name, "value": text}),
            ArgValue::Secret(SecretKey { name: secret, key }) => json!({
                "name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}},
            }),
        };
        let mut spec = json!({"metrics": self.metrics});
        let others = [
            ("args", self.args.iter().map(arg).collect()),
            ("dryRun", self.dry_run.clone()),
            ("measurementRetention", self.measurement_retention.clone()),
        ];
        for (name, list) in others {
            if !list.is_empty() {
                spec[name] = Value::Array(list);
            }
        }
        spec
    }

    /// What is measured. Where a Secret's value is to be, its argument stays as it is written.
    ///
    /// # Errors
    /// Why the run cannot begin.
    pub fn spec(&self) -> Result<RunSpec, ResolveError> {
        let metrics = self.metrics.iter().map(|written| self.masked(written));
        let mut metrics: Vec<Metric> = metrics.collect::<Result<_, _>>()?;
        unique_names(&metrics)?;
        for rule in rule::rules("dryRun", &self.dry_run, &metrics)? {
            for metric in metrics.iter_mut().filter(|metric| rule.matches(metric)) {
                metric.dry_run = true;
            }
        }
        let retention = &self.measurement_retention;
        for rule in rule::rules("measurementRetention", retention, &metrics)? {
            let limit = rule
                .limit
                .filter(|limit| *limit > 0)
                .unwrap_or(DEFAULT_RETENTION);
            for metric in metrics.iter_mut().filter(|metric| rule.matches(metric)) {
                metric.retention = limit;
            }
        }
        Ok(RunSpec { metrics })
    }

    /// The same where there is no cluster.
    ///
    /// # Errors
    /// As [`Draft::spec`], and what only a cluster has.
    pub fn spec_without_cluster(&self, secrets: LocalSecrets) -> Result<RunSpec, ResolveError> {
        const GIVE: &str = "local mode reads Secrets from a file: serin local --secrets FILE";
        let mut of_secrets = self.args.iter().filter_map(|(name, value)| match value {
            ArgValue::Secret(key) if secrets == LocalSecrets::Nowhere => Some((name, key)),
            _ => None,
        });
        if let Some((name, SecretKey { name: secret, key })) = of_secrets.next() {
            let why = format!(
                "takes its value from key {key} of Secret {secret}, and {GIVE} (or give it a value \
                 in the Rollout's args)"
            );
            let name = name.clone();
            return Err(ResolveError::NoSource { name, why });
        }
        let spec = self.spec()?;
        for Metric { name, provider, .. } in &spec.metrics {
            let why = match provider {
                Provider::Job(_) => "a Job needs a cluster, expected another provider".to_string(),
                _ => match provider.secrets().iter().find(|wanted| !wanted.optional) {
                    Some(Wanted { key, .. }) if secrets == LocalSecrets::Nowhere => {
                        format!(
                            "its provider wants key {} of Secret {}, and {GIVE}",
                            key.key, key.name
                        )
                    }
                    _ => continue,
                },
            };
            let metric = name.clone();
            return Err(ResolveError::NotLocal { metric, why });
        }
        Ok(spec)
    }

    /// The Secrets that a measurement of the metric at this index needs.
    pub fn secrets(&self, metric: usize) -> BTreeSet<&SecretKey> {
        let needed = RefCell::new(BTreeSet::new());
        let note = |name: &str| {
            if let Some(ArgValue::Secret(key)) = self.args.get(name) {
                needed.borrow_mut().insert(key);
            }
            Some(Ok(String::new()))
        };
        if let Some(written) = self.metrics.get(metric) {
            // What cannot be filled in needs nothing: `spec` says why.
            let _ = substitute(written, &note);
        }
        needed.into_inner()
    }

    /// What measures the metric at this index, with all that comes from Secrets.
    ///
    /// # Errors
    /// Why it cannot measure.
    pub fn provider(&self, metric: usize, secrets: &Secrets) -> Result<Provider, ResolveError> {
        let written = self.metrics.get(metric).ok_or(ResolveError::NoMetrics)?;
        let value = |name: &str| match self.args.get(name)? {
            ArgValue::Text(text) => Some(Ok(text.clone())),
            ArgValue::Secret(key) => secrets.get(key).cloned().map(Ok),
        };
        let filled = fill(written, &value)?;
        Ok(read(&filled, Args::Filled)?.provider)
    }

    /// A metric with all but what comes from Secrets, which only its provider may have.
    fn masked(&self, written: &Value) -> Result<Metric, ResolveError> {
        let plain = |name: &str| match self.args.get(name)? {
            ArgValue::Text(text) => Some(Ok(text.clone())),
            ArgValue::Secret(_) => Some(Err(format!(
                "{{{{args.{name}}}}} comes from a Secret, expected it in the provider only"
            ))),
        };
        let masked = |name: &str| match self.args.get(name)? {
            ArgValue::Text(text) => Some(Ok(text.clone())),
            ArgValue::Secret(_) => Some(Ok(format!("{{{{args.{name}}}}}"))),
        };
        let Value::Object(fields) = written else {
            return read(written, Args::Masked);
        };
        let mut fields = fields.clone();
        let provider = fields.remove("provider");
        let mut filled = fill(&Value::Object(fields), &plain)?;
        if let (Value::Object(filled), Some(provider)) = (&mut filled, provider) {
            let provider = fill_as(metric_name(written), &provider, &masked)?;
            filled.insert("provider".to_string(), provider);
        }
        read(&filled, Args::Masked)
    }
}

fn metric_name(metric: &Value) -> &str {
    let name = metric.get("name").and_then(Value::as_str);
    name.unwrap_or_default()
}

fn fill(metric: &Value, args: Lookup<'_>) -> Result<Value, ResolveError> {
    fill_as(metric_name(metric), metric, args)
}

fn fill_as(metric: &str, written: &Value, args: Lookup<'_>) -> Result<Value, ResolveError> {
    substitute(written, args).map_err(|why| ResolveError::Unfilled {
        metric: metric.to_string(),
        why,
    })
}

fn read(metric: &Value, args: Args) -> Result<Metric, ResolveError> {
    let report = Report::default();
    let path = format!("metrics[{}]", metric_name(metric));
    let read = Metric::read(&Field::root(&path, metric, &report), args);
    Ok(report.finish(read)?)
}

fn unique_names(metrics: &[Metric]) -> Result<(), ResolveError> {
    if metrics.is_empty() {
        return Err(ResolveError::NoMetrics);
    }
    let mut seen = BTreeSet::new();
    match metrics.iter().find(|metric| !seen.insert(&metric.name)) {
        Some(twice) => Err(ResolveError::MetricTwice(twice.name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
