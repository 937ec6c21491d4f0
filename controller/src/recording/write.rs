//! Writing: samples in, lines out, each of them whole in the file before the next is begun.

use std::io::{self, Write};

use serin_core::judge::{Count, Tick};
use serin_core::time::Timestamp;

use super::line::{FORMAT, First, Further, Totals, VERSION};
use super::{Header, Sample};

/// A recording that is being written.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    bounds: Vec<f64>,
    canary: Totals,
    stable: Totals,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(out: W, header: &Header) -> io::Result<Writer<W>> {
        let first = First {
            format: FORMAT.to_string(),
            version: VERSION,
            namespace: header.namespace.clone(),
            rollout: header.rollout.clone(),
            stable: header.stable.clone(),
            canary: header.canary.clone(),
            begun: text(header.begun),
            bounds_ms: header.bounds.clone(),
        };
        let nothing = Totals {
            slower: vec![0; header.bounds.len()],
            ..Totals::default()
        };
        let mut writer = Writer {
            out,
            bounds: header.bounds.clone(),
            canary: nothing.clone(),
            stable: nothing,
        };
        writer.line(&first)?;
        Ok(writer)
    }

    /// Writes a sample. Bounds that the header has not are left out, and those that it lacks are
    /// counted as 0.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, sample: &Sample) -> io::Result<()> {
        let Tick {
            at,
            errors,
            latency,
        } = &sample.tick;
        self.canary.add(errors.canary);
        self.stable.add(errors.stable);
        for (place, bound) in self.bounds.iter().enumerate() {
            if let Some(boundary) = latency.iter().find(|one| one.bound == *bound) {
                let slower = boundary.slower;
                self.canary
                    .slow(place, slower.canary.bad.min(errors.canary.requests));
                self.stable
                    .slow(place, slower.stable.bad.min(errors.stable.requests));
            }
        }
        self.line(&Further {
            at: text(*at),
            weight_bp: sample.weight_bp.into(),
            canary: self.canary.clone(),
            stable: self.stable.clone(),
        })
    }

    fn line(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.out.write_all(&bytes)?;
        self.out.flush()
    }
}

impl Totals {
    fn add(&mut self, count: Count) {
        self.requests = self.requests.saturating_add(count.requests);
        self.failed = self.failed.saturating_add(count.bad);
    }

    fn slow(&mut self, place: usize, count: u64) {
        if let Some(total) = self.slower.get_mut(place) {
            *total = total.saturating_add(count);
        }
    }
}

/// A time with its milliseconds.
fn text(time: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
