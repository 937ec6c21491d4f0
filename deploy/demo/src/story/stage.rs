//! The machine under the story: manifests in a directory of their own, a real `serin local` beside
//! them, and the real commands.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, ChildStdin, Command};

use super::edit::edit;
use super::left;
use super::teller::Teller;
use super::{RATE, ROLLOUT};

const MANIFESTS: [(&str, &str); 3] = [
    ("analysis.yaml", include_str!("../../analysis.yaml")),
    ("ledger.yaml", include_str!("../../ledger.yaml")),
    (SHOP, include_str!("../../shop.yaml")),
];

/// The manifest that is edited.
const SHOP: &str = "shop.yaml";

/// The stage, with `serin local` running on it.
#[derive(Debug)]
pub(super) struct Stage {
    home: TempDir,
    serin: PathBuf,
    child: tokio::sync::Mutex<Child>,
    pid: Option<Pid>,
    _lifeline: Option<ChildStdin>,
}

impl Stage {
    /// Copies the manifests and starts `serin local` on them.
    pub(super) fn set(teller: &Teller) -> anyhow::Result<Stage> {
        let (serin, beside) = built()?;
        let home = tempfile::Builder::new().prefix("serin-demo-").tempdir()?;
        let app = home.path().join("app");
        fs::create_dir_all(&app).with_context(|| format!("create {}", app.display()))?;
        for (name, text) in MANIFESTS {
            fs::write(app.join(name), text).with_context(|| format!("write {name}"))?;
        }
        let state = home.path().join("state");
        teller.line("A shop and the ledger that it depends on, released on this machine.");
        teller.line("");
        teller.command(&format!("cd {}", home.path().display()));
        teller.command("export SERIN_STATE=$PWD/state");
        teller.command(&format!(
            "serin local app --traffic {RATE} --traffic-to {ROLLOUT} &"
        ));
        teller.line("");

        let log = File::create(home.path().join("serin.log"))?;
        let mut command = Command::new(&serin);
        command
            .arg("local")
            .arg(&app)
            .arg("--gateway=127.0.0.1:0")
            .args([
                format!("--traffic={RATE}"),
                format!("--traffic-to={ROLLOUT}"),
            ])
            .env(left::MARK, &state)
            .env("PATH", with_first(&beside)?)
            // Nothing is written: it ends with this program, however this one ends.
            .arg("--stop-with-stdin")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("start {}", serin.display()))?;
        // Taken from it, for waiting for it would close it.
        let lifeline = child.stdin.take();
        let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Stage {
            home,
            serin,
            child: tokio::sync::Mutex::new(child),
            pid,
            _lifeline: lifeline,
        })
    }

    /// The state directory.
    pub(super) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Edits the shop's manifest, and shows how.
    pub(super) fn edit(
        &self,
        teller: &Teller,
        replacements: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let path = self.home.path().join("app").join(SHOP);
        let edited = edit(&fs::read_to_string(&path)?, replacements)?;
        teller.command(&format!("$EDITOR app/{SHOP}"));
        for line in &edited.diff {
            let colour = match line.starts_with('-') {
                true => serin::draw::Colour::Red,
                false => serin::draw::Colour::Green,
            };
            teller.line(&format!("    {}", teller.paint().colour(colour, line)));
        }
        // Renamed into place, as editors do: nobody ever reads half a manifest.
        let fresh = path.with_extension("yaml.new");
        fs::write(&fresh, &edited.text)?;
        fs::rename(&fresh, &path).with_context(|| format!("write {}", path.display()))
    }

    /// Runs a `serin` command and shows what it says.
    pub(super) async fn serin(&self, teller: &Teller, args: &[&str]) -> anyhow::Result<()> {
        teller.command(&format!("serin {}", args.join(" ")));
        self.run(teller, args, |_| true).await
    }

    /// Runs a `serin` command and shows the lines that have this word in them.
    pub(super) async fn serin_with(
        &self,
        teller: &Teller,
        args: &[&str],
        word: &str,
    ) -> anyhow::Result<()> {
        teller.command(&format!("serin {} | grep {word}", args.join(" ")));
        self.run(teller, args, |line| line.contains(word)).await
    }

    async fn run(
        &self,
        teller: &Teller,
        args: &[&str],
        shown: impl Fn(&str) -> bool,
    ) -> anyhow::Result<()> {
        let mut command = Command::new(&self.serin);
        command.args(args).env("SERIN_STATE", self.state());
        let output = command.output().await.context("run serin")?;
        let text = String::from_utf8_lossy(&output.stdout);
        for line in text.lines().filter(|line| shown(line)) {
            teller.line(&format!("    {line}"));
        }
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "serin {}: {}",
            args.join(" "),
            error.trim()
        );
        Ok(())
    }

    /// Returns when `serin local` has ended by itself, which it should not.
    pub(super) async fn gone(&self) -> anyhow::Error {
        match self.child.lock().await.wait().await {
            Ok(status) => anyhow::anyhow!("serin local ended by itself with {status}"),
            Err(error) => anyhow::Error::from(error).context("wait for serin local"),
        }
    }

    /// What a visitor may try.
    pub(super) fn suggest(&self, teller: &Teller) {
        let home = self.home.path().display();
        let beside = self.serin.parent().unwrap_or(Path::new(".")).display();
        teller.command(&format!(
            "cd {home}; export PATH={beside}:$PATH SERIN_STATE=$PWD/state"
        ));
        teller.command(&format!("serin get {ROLLOUT} --watch"));
        teller.line("  The bad version is still in the manifest. Mend it and see it released:");
        teller.command("sed -i 's/error-rate=0.02/error-rate=0.002/; s/=v4/=v5/' app/shop.yaml");
        teller.line("  or steer it yourself:");
        for verb in ["pause", "promote", "abort", "retry", "undo"] {
            teller.command(&format!("serin {verb} {ROLLOUT}"));
        }
        teller.line("Ctrl-C here stops everything.");
    }

    /// Stops everything and takes the stage away; returns which of its processes are left.
    pub(super) async fn strike(mut self) -> anyhow::Result<Vec<String>> {
        self.stop().await?;
        let left = left::of_stage(&self.state()).await?;
        let home = self.home.path().to_path_buf();
        let closed = self.home.close();
        closed.with_context(|| format!("remove {}", home.display()))?;
        Ok(left)
    }

    /// Stops everything and says where the log of `serin local` is.
    pub(super) async fn leave_log(&mut self) -> String {
        // It may be gone already, which is why the log is wanted.
        let _ = self.stop().await;
        self.home.disable_cleanup(true);
        self.home.path().join("serin.log").display().to_string()
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        // It ends its children one after the other, each with some time to finish.
        const PATIENCE: Duration = Duration::from_secs(30);
        let child = self.child.get_mut();
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        if let Some(pid) = self.pid {
            kill_process(pid, Signal::TERM).context("stop serin local")?;
        }
        if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
            child.kill().await?;
            bail!("serin local did not stop within {PATIENCE:?}");
        }
        Ok(())
    }
}

/// The `serin` binary beside this one, and the directory of both.
fn built() -> anyhow::Result<(PathBuf, PathBuf)> {
    let own = std::env::current_exe().context("find this program")?;
    let beside = own.parent().context("find this program's directory")?;
    for name in ["serin", "demo-app"] {
        let path = beside.join(name);
        ensure!(
            path.exists(),
            "{} is missing (cargo build -p serin -p serin-demo builds it)",
            path.display()
        );
    }
    Ok((beside.join("serin"), beside.to_path_buf()))
}

/// PATH with this directory before all others, so that the manifests' `demo-app` is found.
fn with_first(first: &Path) -> anyhow::Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let rest = std::env::split_paths(&path);
    Ok(std::env::join_paths(
        std::iter::once(first.to_path_buf()).chain(rest),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{bad, good, subtle};
    use serin_core::analysis::LocalSecrets;

    #[test]
    fn every_version_of_the_manifests_is_taken_without_a_notice() {
        let mut files = MANIFESTS.map(|(name, text)| (name.to_string(), text.to_string()));
        for edits in [&[], good::EDITS, bad::EDITS, subtle::EDITS] {
            let shop = files.iter_mut().find(|(name, _)| name == SHOP).unwrap();
            shop.1 = edit(&shop.1, edits).unwrap().text;
            let manifests = serin::manifest::parse(&files, LocalSecrets::Nowhere).unwrap();
            let names: Vec<&str> = manifests
                .rollouts
                .iter()
                .map(|r| r.key.name.as_str())
                .collect();
            assert_eq!(names, ["ledger", "shop"]);
            assert_eq!(manifests.templates.len(), 4);
            assert_eq!(manifests.notices, Vec::<String>::new());
        }
    }
}
