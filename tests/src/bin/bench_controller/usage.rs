//! What a process has taken, as the kernel tells it.

use std::fs;
use std::time::Duration;

/// Memory and processor time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// The most memory that it ever had.
    pub(crate) peak_mb: f64,
    /// The processor time that it took, in user and in system mode.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// Of a process, by its id.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn of(id: u32) -> Usage {
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|rest| rest.split_whitespace().next());
        let kilobytes: f64 = peak.and_then(|text| text.parse().ok()).expect("its peak");
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process");
        // The name may have spaces and ends with the last bracket; then come fields 3 and on.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<u64> = fields
            .split_whitespace()
            .map(|f| f.parse().unwrap_or(0))
            .collect();
        let ticks = fields[11] + fields[12];
        Usage {
            peak_mb: kilobytes / 1024.0,
            cpu: Duration::from_secs_f64(ticks as f64 / ticks_per_second()),
        }
    }

    /// What was taken since; the peak is that of its whole life.
    pub(crate) fn since(self, before: &Usage) -> Usage {
        Usage {
            cpu: self.cpu - before.cpu,
            ..self
        }
    }
}

/// The unit of `/proc/PID/stat`.
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}
