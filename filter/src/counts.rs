//! Finished requests in, counters out. Counting touches this VM's memory only; a flush adds what
//! has come together to the host's metrics.
//!
//! The host keeps metrics for ever and takes memory for every definition, so all of this belongs to
//! the VM: configurations come and go, their series and metric ids stay.

use crate::host::{self, HostError, Kind};
use crate::label::Labels;
use serin_core::metric::{self, BUCKETS};
use serin_core::wire::{MAX_CODES, MAX_LABEL_SETS};
use std::collections::HashMap;

/// All that this VM counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    by_labels: HashMap<Labels, u32>,
    series: Vec<Series>,
    sets: Vec<Set>,
    /// The sets that have something to flush.
    dirty: Vec<usize>,
    overflow: Tally,
    host_errors: Tally,
}

/// Requests with the same labels but for the response's code.
#[derive(Debug)]
struct Series {
    labels: Labels,
    /// A handful of codes, found faster in a row than in a map.
    codes: Vec<(u16, usize)>,
}

/// Requests with the same labels.
#[derive(Debug)]
struct Set {
    series: usize,
    code: u16,
    pending: Pending,
    /// The ids of its metrics, in the order of [`names`]; complete after the first flush that the
    /// host let through.
    ids: Vec<u32>,
}

/// What a flush adds.
#[derive(Debug, Default)]
struct Pending {
    requests: u64,
    /// Kept in nanoseconds, so that what is left of a millisecond is flushed with the next.
    duration: u64,
    buckets: [u64; BUCKETS.len() + 1],
}

/// A counter without labels.
#[derive(Debug, Default)]
struct Tally {
    pending: u64,
    id: Option<u32>,
}

const NANOSECONDS: u64 = 1_000_000;

/// What the codes beyond [`MAX_CODES`] are counted as.
const OTHER: u16 = u16::MAX;

impl Counts {
    /// The number of a series, for as long as the VM lives; none if there are too many.
    pub(crate) fn series(&mut self, labels: Labels) -> Option<u32> {
        if let Some(known) = self.by_labels.get(&labels) {
            return Some(*known);
        }
        if self.series.len() >= MAX_LABEL_SETS {
            return None;
        }
        let number = u32::try_from(self.series.len()).ok()?;
        self.series.push(Series {
            labels: labels.clone(),
            codes: Vec::new(),
        });
        self.by_labels.insert(labels, number);
        Some(number)
    }

    /// Counts one request that took `duration` nanoseconds; 0 is the code of no response.
    pub(crate) fn request(&mut self, series: u32, code: u16, duration: u64) {
        let Some(index) = self.set(series as usize, code) else {
            return self.overflow();
        };
        let Some(set) = self.sets.get_mut(index) else {
            return;
        };
        let pending = &mut set.pending;
        if pending.requests == 0 {
            self.dirty.push(index);
        }
        pending.requests += 1;
        pending.duration = pending.duration.saturating_add(duration);
        let bucket = BUCKETS.partition_point(|(bound, _)| bound * NANOSECONDS < duration);
        if let Some(bucket) = pending.buckets.get_mut(bucket) {
            *bucket += 1;
        }
    }

    /// Counts one request that has no series.
    pub(crate) fn overflow(&mut self) {
        self.overflow.pending += 1;
    }

    /// Counts a host call that failed.
    pub(crate) fn expect<T>(&mut self, result: Result<T, HostError>) -> Option<T> {
        self.host_errors.pending += u64::from(result.is_err());
        result.ok()
    }

    fn set(&mut self, series: usize, code: u16) -> Option<usize> {
        let codes = &mut self.series.get_mut(series)?.codes;
        // A pod that answers with every code there is must not take the others' sets.
        let new = !codes.iter().any(|(known, _)| *known == code);
        let code = if new && codes.len() + 1 >= MAX_CODES {
            OTHER
        } else {
            code
        };
        if let Some((_, set)) = codes.iter().find(|(known, _)| *known == code) {
            return Some(*set);
        }
        let index = self.sets.len();
        if index >= MAX_LABEL_SETS {
            return None;
        }
        codes.push((code, index));
        self.sets.push(Set {
            series,
            code,
            pending: Pending::default(),
            ids: Vec::new(),
        });
        Some(index)
    }

    /// Adds all that is pending to the host's metrics. What has no metric yet since the host did
    /// not define it stays pending; what the host does not add is lost, once.
    pub(crate) fn flush(&mut self) {
        let mut failed = 0;
        let (sets, series) = (&mut self.sets, &self.series);
        self.dirty.retain(|index| {
            let Some(set) = sets.get_mut(*index) else {
                return false;
            };
            let flushed = match series.get(set.series) {
                Some(series) => set.flush(&series.labels),
                None => Ok(()),
            };
            failed += u64::from(flushed.is_err());
            set.pending.requests > 0
        });
        failed += u64::from(self.overflow.flush(metric::LABEL_OVERFLOW).is_err());
        self.host_errors.pending += failed;
        let flushed = self.host_errors.flush(metric::HOST_ERRORS);
        self.expect(flushed);
    }
}

impl Set {
    fn flush(&mut self, labels: &Labels) -> Result<(), HostError> {
        for name in names(labels, self.code).skip(self.ids.len()) {
            self.ids.push(host::define(Kind::Counter, &name)?);
        }
        let pending = std::mem::take(&mut self.pending);
        self.pending.duration = pending.duration % NANOSECONDS;
        let mut result = Ok(());
        for family in self.ids.chunks_exact(FAMILY) {
            for (id, by) in family.iter().zip(pending.values()) {
                result = result.and(add(*id, by));
            }
        }
        result
    }
}

/// Metrics of one family: requests, count, sum and buckets.
const FAMILY: usize = BUCKETS.len() + 4;

/// What the metrics of a label set are called, one family after the other.
fn names(labels: &Labels, code: u16) -> impl Iterator<Item = String> {
    let serin = labels.serin.as_deref();
    let istio = labels.istio.as_deref();
    let families = [
        (serin, metric::REQUESTS, metric::DURATION),
        (istio, metric::ISTIO_REQUESTS, metric::ISTIO_DURATION),
    ];
    families
        .into_iter()
        .flat_map(move |(labels, requests, duration)| {
            let labels = labels.map(|labels| {
                let mut labels = labels.to_string();
                let code = if code == OTHER {
                    "other".to_string()
                } else {
                    code.to_string()
                };
                metric::push_label(&mut labels, "response_code", &code);
                labels
            });
            labels
                .into_iter()
                .flat_map(|labels| family(labels, requests, duration))
        })
}

fn family(labels: String, requests: &str, duration: &str) -> impl Iterator<Item = String> {
    let first = [
        format!("{labels}{requests}"),
        format!("{labels}{duration}_count"),
        format!("{labels}{duration}_sum"),
    ];
    let bounds = BUCKETS.iter().map(|(_, le)| *le).chain([metric::INFINITE]);
    let buckets = bounds.map(move |le| {
        let mut name = labels.clone();
        metric::push_label(&mut name, "le", le);
        name + duration + "_bucket"
    });
    first.into_iter().chain(buckets)
}

impl Pending {
    /// What to add to each metric of a family. A bucket counts all requests below its bound.
    fn values(&self) -> impl Iterator<Item = u64> {
        let first = [self.requests, self.requests, self.duration / NANOSECONDS];
        let buckets = self.buckets.iter().scan(0, |below, requests| {
            *below += requests;
            Some(*below)
        });
        first.into_iter().chain(buckets)
    }
}

impl Tally {
    fn flush(&mut self, name: &str) -> Result<(), HostError> {
        let id = match self.id {
            Some(id) => id,
            None => *self.id.insert(host::define(Kind::Counter, name)?),
        };
        add(id, self.pending)?;
        self.pending = 0;
        Ok(())
    }
}

fn add(id: u32, by: u64) -> Result<(), HostError> {
    if by == 0 {
        Ok(())
    } else {
        host::increment(id, by)
    }
}
