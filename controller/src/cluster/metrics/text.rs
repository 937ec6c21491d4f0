//! Metrics as Prometheus reads them: names, labels and values in, lines of text out.

use std::fmt::Error;
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// The upper bounds of Argo Rollouts' histograms, in seconds.
const BOUNDS: [f64; 5] = [0.01, 0.15, 0.25, 0.5, 1.0];

/// A name, and the samples of it.
pub(super) struct Metric {
    name: &'static str,
    help: &'static str,
    samples: Vec<(Labels, Value)>,
}

/// Label names and values, which are escaped.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels(Vec<(&'static str, String)>);

/// How often something took how long.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    sum: f64,
    /// Each bound's own, and those beyond all bounds.
    counts: [u64; BOUNDS.len() + 1],
}

enum Value {
    Gauge(f64),
    Count(u64),
    Times(Histogram),
}

/// A metric without samples yet.
pub(super) fn metric(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        help,
        samples: Vec::new(),
    }
}

impl Labels {
    /// One more label.
    pub(super) fn and(mut self, name: &'static str, value: impl AsRef<str>) -> Labels {
        self.0.push((name, escaped(value.as_ref())));
        self
    }
}

/// The library writes labels as they are.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

impl Histogram {
    /// Takes note of one time.
    pub(super) fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.sum += seconds;
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        self.counts[bucket.unwrap_or(BOUNDS.len())] += 1;
    }
}

impl Metric {
    /// Adds a value that may rise and fall.
    pub(super) fn gauge(&mut self, labels: Labels, value: f64) {
        self.samples.push((labels, Value::Gauge(value)));
    }

    /// Adds a count.
    pub(super) fn counts(&mut self, labels: Labels, count: u64) {
        self.samples.push((labels, Value::Count(count)));
    }

    /// Adds a histogram.
    pub(super) fn times(&mut self, labels: Labels, times: Histogram) {
        self.samples.push((labels, Value::Times(times)));
    }

    /// Writes it, if there is any sample.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let Some((_, first)) = self.samples.first() else {
            return Ok(());
        };
        // A counter is named without what its samples end in, and one whose samples do not end in it
        // is none by the format.
        let (name, kind) = match first {
            Value::Gauge(_) => (self.name, MetricType::Gauge),
            Value::Times(_) => (self.name, MetricType::Histogram),
            Value::Count(_) => match self.name.strip_suffix("_total") {
                Some(name) => (name, MetricType::Counter),
                None => (self.name, MetricType::Unknown),
            },
        };
        let mut encoder = encoder.encode_descriptor(name, self.help, None, kind)?;
        for (labels, value) in &self.samples {
            let labels = labels.0.as_slice();
            let sample = encoder.encode_family(&labels)?;
            value.encode(sample, name != self.name)?;
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, mut sample: MetricEncoder<'_>, is_total: bool) -> Result<(), Error> {
        match self {
            Value::Gauge(value) => sample.encode_gauge(value),
            Value::Count(count) if is_total => {
                sample.encode_counter::<[(&str, &str); 0], _, u64>(count, None)
            }
            Value::Count(count) => sample.encode_gauge(count),
            Value::Times(Histogram { sum, counts }) => {
                let bounds = BOUNDS.into_iter().chain([f64::MAX]);
                let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
                let count = counts.iter().sum();
                sample.encode_histogram::<[(&str, &str); 0]>(*sum, count, &buckets, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::collector::Collector;
    use prometheus_client::registry::Registry;

    #[derive(Debug)]
    struct One(fn() -> Metric);

    impl Collector for One {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
            self.0().encode(&mut encoder)
        }
    }

    fn text(of: fn() -> Metric) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(One(of)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        text
    }

    #[test]
    fn label_values_are_escaped() {
        let text = text(|| {
            let mut metric = metric("why", "Why");
            metric.gauge(Labels::default().and("reason", "a \"b\" \\ c\nd"), 1.0);
            metric
        });
        assert!(
            text.contains(r#"why{reason="a \"b\" \\ c\nd"} 1.0"#),
            "{text}"
        );
    }

    #[test]
    fn counts_keep_their_names_with_and_without_total() {
        let total = text(|| {
            let mut metric = metric("events_total", "Events");
            metric.counts(Labels::default().and("a", "b"), 3);
            metric
        });
        assert!(total.contains("# TYPE events counter\n"), "{total}");
        assert!(total.contains("events_total{a=\"b\"} 3\n"), "{total}");
        let plain = text(|| {
            let mut metric = metric("errors", "Errors");
            metric.counts(Labels::default().and("a", "b"), 3);
            metric
        });
        assert!(plain.contains("# TYPE errors unknown\n"), "{plain}");
        assert!(plain.contains("errors{a=\"b\"} 3\n"), "{plain}");
    }

    #[test]
    fn a_time_is_in_its_bucket_and_all_above() {
        let text = text(|| {
            let mut times = Histogram::default();
            times.observe(Duration::from_millis(200));
            times.observe(Duration::from_secs(2));
            let mut metric = metric("took", "Took");
            metric.times(Labels::default().and("a", "b"), times);
            metric
        });
        for line in [
            "took_sum{a=\"b\"} 2.2\n",
            "took_count{a=\"b\"} 2\n",
            "took_bucket{le=\"0.15\",a=\"b\"} 0\n",
            "took_bucket{le=\"0.25\",a=\"b\"} 1\n",
            "took_bucket{le=\"1.0\",a=\"b\"} 1\n",
            "took_bucket{le=\"+Inf\",a=\"b\"} 2\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn a_metric_without_samples_is_not_told() {
        assert_eq!(text(|| metric("none", "None")), "# EOF\n");
    }
}
