//! The options of the Lease, by the names that Argo Rollouts' controller has for them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::bail;
use clap::{ArgAction, Args};
use serin_core::time::parse_duration;

use crate::cluster::lease::{Times, Wanted};

/// The options of the Lease.
#[derive(Args, Debug)]
pub(super) struct Election {
    /// Take a Lease first, so that of several controllers one works at a time
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    leader_elect: bool,
    /// The Lease's namespace; that of Argo Rollouts' controller keeps the two apart as well
    /// [default: the pod's, or the kubeconfig's]
    #[arg(long, value_name = "NAMESPACE")]
    leader_election_namespace: Option<String>,
    /// How long the Lease lasts after it was renewed, in whole seconds
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    leader_election_lease_duration: Duration,
    /// How long its holder tries to renew it before it stops
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    leader_election_renew_deadline: Duration,
    /// How long between two tries to take or to renew it
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    leader_election_retry_period: Duration,
}

impl Election {
    /// The Lease that is wanted; `namespace` is meant where none is named.
    ///
    /// # Errors
    /// If the times do not go together.
    pub(super) fn wanted(
        self,
        namespace: &str,
        instance_id: Option<&str>,
    ) -> anyhow::Result<Option<Wanted>> {
        if !self.leader_elect {
            return Ok(None);
        }
        let times = Times {
            lease: self.leader_election_lease_duration,
            deadline: self.leader_election_renew_deadline,
            retry: self.leader_election_retry_period,
        };
        check(times)?;
        if let Some(id) = instance_id {
            check_name(id)?;
        }
        Ok(Some(Wanted {
            namespace: self
                .leader_election_namespace
                .unwrap_or_else(|| namespace.to_string()),
            instance_id: instance_id.map(str::to_string),
            identity: identity(),
            times,
        }))
    }
}

/// Refuses times by which two could hold the Lease, as client-go does.
fn check(times: Times) -> anyhow::Result<()> {
    let Times {
        lease,
        deadline,
        retry,
    } = times;
    if lease.subsec_nanos() != 0 || lease.is_zero() {
        bail!("--leader-election-lease-duration {lease:?} is not possible, expected whole seconds");
    }
    if deadline >= lease {
        bail!(
            "--leader-election-renew-deadline {deadline:?} is not possible, expected less than \
             --leader-election-lease-duration, which is {lease:?}"
        );
    }
    if retry.is_zero() || retry.mul_f64(1.2) >= deadline {
        bail!(
            "--leader-election-retry-period {retry:?} is not possible, expected more than nothing \
             and 1.2 times of it less than --leader-election-renew-deadline, which is {deadline:?}"
        );
    }
    Ok(())
}

/// Refuses an instance id that the Lease's name cannot have in it, as API servers would for ever.
fn check_name(id: &str) -> anyhow::Result<()> {
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| outer(c) || "-.".contains(c);
    let apart = ["..", ".-", "-."].iter().all(|pair| !id.contains(pair));
    if id.chars().all(inner) && id.ends_with(outer) && !id.starts_with('.') && apart {
        return Ok(());
    }
    bail!(
        "--instance-id {id:?} is not possible in the name of a Lease, expected lower case letters, \
         digits, '-' and '.' (or --leader-elect=false)"
    )
}

/// A name that no other process has: the host's, with what tells processes of one host apart.
fn identity() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.map_or(0, |since| since.as_nanos());
    format!("{host}_{}-{since:x}", std::process::id())
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text);
    duration.ok_or_else(|| "expected a time such as 15s or 1m30s".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(lease: u64, deadline: u64, retry: u64) -> Option<String> {
        let times = Times {
            lease: Duration::from_secs(lease),
            deadline: Duration::from_secs(deadline),
            retry: Duration::from_secs(retry),
        };
        check(times).err().map(|error| error.to_string())
    }

    #[test]
    fn times_by_which_two_could_hold_the_lease_are_refused() {
        assert_eq!(refusal(15, 10, 2), None);
        for (lease, deadline, retry, option) in [
            (0, 10, 2, "--leader-election-lease-duration 0ns"),
            (10, 10, 2, "--leader-election-renew-deadline 10s"),
            (15, 2, 2, "--leader-election-retry-period 2s"),
            (15, 10, 0, "--leader-election-retry-period 0ns"),
        ] {
            let refusal = refusal(lease, deadline, retry).expect("a refusal");
            assert!(refusal.starts_with(option), "{refusal}");
        }
    }

    #[test]
    fn an_instance_id_that_no_lease_can_have_in_its_name_is_refused() {
        for id in ["mine", "team-a", "a.b", "7"] {
            assert!(check_name(id).is_ok(), "{id}");
        }
        for id in ["Team_A", "a_b", "a-", ".a", "a..b", ""] {
            let refusal = check_name(id).expect_err("a refusal").to_string();
            assert!(
                refusal.contains(&format!("--instance-id {id:?}")),
                "{refusal}"
            );
        }
    }

    #[test]
    fn each_identity_is_another() {
        assert_ne!(identity(), identity());
    }
}
