//! Finished requests in, counters out. Counting touches this VM's memory only; a flush adds what
//! has come together to the host's metrics.
//!
//! The host keeps metrics for ever and takes memory for every definition, so all of this belongs to
//! the VM: configurations come and go, their series and metric ids stay.

use crate::host::{self, HostError, Kind};
use crate::label::Labels;
use serin_core::metric::{self, BUCKETS};
use serin_core::wire::MAX_LABEL_SETS;
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
    /// The metrics' ids per family, from the first flush on.
    families: Option<Vec<Family>>,
}

/// What a flush adds.
#[derive(Debug, Default)]
struct Pending {
    requests: u64,
    /// Kept in nanoseconds, so that what is left of a millisecond is flushed with the next.
    duration: u64,
    buckets: [u64; BUCKETS.len() + 1],
}

/// The metrics of one name's family.
#[derive(Debug)]
struct Family {
    requests: u32,
    sum: u32,
    count: u32,
    buckets: Vec<u32>,
}

/// A counter without labels.
#[derive(Debug, Default)]
struct Tally {
    pending: u64,
    id: Option<u32>,
}

const NANOSECONDS: u64 = 1_000_000;

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

    /// Counts one host call that failed.
    pub(crate) fn host_error(&mut self) {
        self.host_errors.pending += 1;
    }

    fn set(&mut self, series: usize, code: u16) -> Option<usize> {
        let codes = &mut self.series.get_mut(series)?.codes;
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
            families: None,
        });
        Some(index)
    }

    /// Adds all that is pending to the host's metrics. What the host refuses stays pending.
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
            flushed.is_err()
        });
        failed += u64::from(self.overflow.flush(metric::LABEL_OVERFLOW).is_err());
        self.host_errors.pending += failed;
        if self.host_errors.flush(metric::HOST_ERRORS).is_err() {
            self.host_errors.pending += 1;
        }
    }
}

impl Set {
    fn flush(&mut self, labels: &Labels) -> Result<(), HostError> {
        if self.families.is_none() {
            self.families = Some(define(labels, self.code)?);
        }
        let pending = std::mem::take(&mut self.pending);
        self.pending.duration = pending.duration % NANOSECONDS;
        let mut result = Ok(());
        for family in self.families.iter().flatten() {
            result = result.and(family.add(&pending));
        }
        result
    }
}

/// Defines every metric of a label set. If one fails, the ids of those before are lost.
fn define(labels: &Labels, code: u16) -> Result<Vec<Family>, HostError> {
    let serin = labels.serin.as_deref();
    let istio = labels.istio.as_deref();
    let families = [
        (serin, metric::REQUESTS, metric::DURATION),
        (istio, metric::ISTIO_REQUESTS, metric::ISTIO_DURATION),
    ];
    let families = families
        .into_iter()
        .filter_map(|(labels, requests, duration)| {
            let mut labels = labels?.to_string();
            metric::push_label(&mut labels, "response_code", &code.to_string());
            Some(Family::define(&labels, requests, duration))
        });
    families.collect()
}

impl Family {
    fn define(labels: &str, requests: &str, duration: &str) -> Result<Self, HostError> {
        let counter = |name: &str| host::define(Kind::Counter, name);
        let bounds = BUCKETS.iter().map(|(_, le)| *le).chain([metric::INFINITE]);
        let buckets = bounds.map(|le| {
            let mut labels = labels.to_string();
            metric::push_label(&mut labels, "le", le);
            counter(&format!("{labels}{duration}_bucket"))
        });
        Ok(Family {
            buckets: buckets.collect::<Result<_, _>>()?,
            sum: counter(&format!("{labels}{duration}_sum"))?,
            count: counter(&format!("{labels}{duration}_count"))?,
            requests: counter(&format!("{labels}{requests}"))?,
        })
    }

    fn add(&self, pending: &Pending) -> Result<(), HostError> {
        let mut result = add(self.requests, pending.requests);
        result = result.and(add(self.count, pending.requests));
        result = result.and(add(self.sum, pending.duration / NANOSECONDS));
        let mut below = 0;
        for (id, requests) in self.buckets.iter().zip(pending.buckets) {
            below += requests;
            result = result.and(add(*id, below));
        }
        result
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
