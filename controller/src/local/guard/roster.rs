//! Which children serin has: told to the guard as they start, and told again to the next guard.

use std::collections::BTreeSet;
use std::fs;
use std::io::{PipeWriter, Write as _};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

/// The first process of a group, with the time it started: a number alone may be given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::local) struct Leader {
    pid: i32,
    start: u64,
}

impl Leader {
    /// The process of this number as it is now.
    pub(in crate::local) fn of(pid: u32) -> Option<Leader> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may contain anything. After the last one comes field 3; the
        // start is field 22.
        let (_, rest) = stat.rsplit_once(')')?;
        let start = rest.split_whitespace().nth(22 - 3)?.parse().ok()?;
        let pid = i32::try_from(pid).ok()?;
        Some(Leader { pid, start })
    }

    /// Whether the number still means this process.
    pub(in crate::local) fn is_alive(&self) -> bool {
        u32::try_from(self.pid).ok().and_then(Leader::of) == Some(*self)
    }

    /// Kills the group unless the number means another process by now.
    pub(in crate::local) fn kill_group(self) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            // A group that is gone already is as good.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl FromStr for Leader {
    type Err = String;

    fn from_str(line: &str) -> Result<Leader, String> {
        let read = line.split_once(' ').and_then(|(pid, start)| {
            Some(Leader {
                pid: pid.parse().ok()?,
                start: start.parse().ok()?,
            })
        });
        read.ok_or_else(|| format!("is {line:?}, expected a process id and its start"))
    }
}

/// The children that live, and the guard that knows them.
#[derive(Clone, Debug, Default)]
pub(in crate::local) struct Roster(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    leaders: BTreeSet<Leader>,
    guard: Option<PipeWriter>,
}

impl Told {
    fn tell(&mut self, leader: Leader) {
        if let Some(guard) = &mut self.guard {
            // A guard that has ended is replaced, and the next one is told everything.
            let _ = writeln!(guard, "{} {}", leader.pid, leader.start);
        }
    }
}

impl Roster {
    /// Tells the guard of a child that was started in a group of its own.
    pub(in crate::local) fn add(&self, pid: Option<u32>) {
        let Some(leader) = pid.and_then(Leader::of) else {
            return;
        };
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.leaders.retain(Leader::is_alive);
        told.leaders.insert(leader);
        told.tell(leader);
    }

    /// Tells another guard everything; the one before it is told no more.
    pub(in crate::local) fn follow(&self, guard: PipeWriter) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.guard = Some(guard);
        for leader in told.leaders.clone() {
            told.tell(leader);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    fn bare() -> Child {
        let mut sleep = Command::new("sleep");
        sleep.arg("1000").env_clear().process_group(0);
        sleep.spawn().unwrap()
    }

    #[test]
    fn a_child_without_environment_is_told_and_ended() {
        let mut child = bare();
        let (read, write) = std::io::pipe().unwrap();
        let roster = Roster::default();
        roster.add(Some(child.id()));
        roster.follow(write);
        let mut line = String::new();
        BufReader::new(read).read_line(&mut line).unwrap();

        line.trim().parse::<Leader>().unwrap().kill_group();

        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_number_that_was_given_again_is_spared() {
        let mut child = bare();
        let leader = Leader::of(child.id()).unwrap();
        let earlier = Leader {
            start: leader.start - 1,
            ..leader
        };

        earlier.kill_group();

        assert!(leader.is_alive());
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
