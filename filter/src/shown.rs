//! What of the configurations stands in gauges: the generation that runs, and on how many threads.
//! Like all metrics they belong to the VM, whatever configurations come and go.

use crate::counts::Counts;
use crate::host::{self, HostError, Kind};
use crate::threads::{self, Own};
use serin_core::metric;
use serin_core::wire::FilterConfig;
use std::collections::HashMap;

/// The gauges by the configurations' names.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    by_name: HashMap<String, Gauges>,
}

#[derive(Debug, Default)]
struct Gauges {
    /// The highest that was shown. All threads write the one gauge, and an old root that ticks late
    /// must not hide a newer one.
    highest: u64,
    generation: Gauge,
    threads: Gauge,
    own: Own,
}

/// A gauge's id, once the host has defined it.
#[derive(Debug, Default)]
struct Gauge(Option<u32>);

impl Shown {
    /// Shows which generation of a configuration runs here, and at this time on how many threads.
    /// Says whether the generation is shown.
    pub(crate) fn show(
        &mut self,
        config: &FilterConfig,
        now: Option<u64>,
        counts: &mut Counts,
    ) -> bool {
        let name = |metric: &str| metric::prefix(&[("config", &config.name)]) + metric;
        let gauges = self.by_name.entry(config.name.clone()).or_default();
        gauges.highest = config.generation.max(gauges.highest);
        // The threads first: whoever reads the new generation must not find beside it how many ran
        // the old one.
        if let Some(now) = now {
            let shown = gauges.show_threads(&name(metric::THREADS), now);
            counts.expect(shown);
        }
        let shown = gauges
            .generation
            .record(&name(metric::GENERATION), gauges.highest);
        counts.expect(shown).is_some()
    }
}

impl Gauges {
    fn show_threads(&mut self, name: &str, now: u64) -> Result<(), HostError> {
        match threads::tell(name, &mut self.own, self.highest, now)? {
            Some(threads) => self.threads.record(name, threads),
            None => Ok(()),
        }
    }
}

impl Gauge {
    fn record(&mut self, name: &str, value: u64) -> Result<(), HostError> {
        let id = match self.0 {
            Some(id) => id,
            None => *self.0.insert(host::define(Kind::Gauge, name)?),
        };
        host::record(id, value)
    }
}
