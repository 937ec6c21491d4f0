//! What is left of a stage: its state directory comes in, the processes that still name it go out.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

/// The variable that names the state directory. `serin local` has it in its environment, and so has
/// everything that it starts.
pub(super) const MARK: &str = "SERIN_STATE";

/// The processes of a stage that is stopped, once there are none or it has taken too long.
///
/// # Errors
/// If the processes cannot be listed.
pub(super) async fn of_stage(state: &Path) -> anyhow::Result<Vec<String>> {
    // What a guard takes to end what is left, and then itself.
    const LIMIT: Duration = Duration::from_secs(10);
    const LOOK_AGAIN: Duration = Duration::from_millis(50);
    let began = Instant::now();
    loop {
        let left = now(state)?;
        if left.is_empty() || began.elapsed() > LIMIT {
            return Ok(left);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn now(state: &Path) -> anyhow::Result<Vec<String>> {
    let mut mark = OsString::from(format!("{MARK}="));
    mark.push(state);
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc").context("list the processes")? {
        let process = entry?.path();
        // One that is another user's, or gone by now, is none of ours.
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        if variables.any(|variable| variable == mark.as_bytes()) {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            let id = process.file_name().unwrap_or_default().to_string_lossy();
            left.push(format!("{} ({id})", name.trim_end()));
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_left_until_it_has_ended() {
        let home = tempfile::tempdir().unwrap();
        let mut command = tokio::process::Command::new("sleep");
        command.arg("600").env(MARK, home.path()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let id = child.id().unwrap();
        assert_eq!(now(home.path()).unwrap(), [format!("sleep ({id})")]);
        assert!(now(&home.path().join("other")).unwrap().is_empty());
        child.kill().await.unwrap();
        assert!(of_stage(home.path()).await.unwrap().is_empty());
    }
}
