//! serin's side of the guard: starts it, keeps its pipe open, and starts another if it ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use serin_core::revision;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::block::Block;
use super::child::Ward;
use super::guard::roster::Roster;
use super::guard::{Answer, MARKER};

/// A guard that stands by.
pub(super) struct Standby {
    /// How it knows the children.
    pub(super) ward: Ward,
    /// The addresses that it has claimed.
    pub(super) block: Block,
    program: PathBuf,
    state: PathBuf,
    child: Child,
}

impl Standby {
    /// Starts the guard of a state directory and waits until nothing of an earlier start is left.
    pub(super) async fn begin(state: &Path, program: Option<&Path>) -> anyhow::Result<Standby> {
        let instance = revision::hash(&Value::String(state.display().to_string()));
        let program = match program {
            Some(program) => program.to_path_buf(),
            None => std::env::current_exe()?,
        };
        let ward = Ward {
            instance,
            roster: Roster::default(),
        };
        Self::start(program, state.to_path_buf(), ward, None).await
    }

    async fn start(
        program: PathBuf,
        state: PathBuf,
        ward: Ward,
        block: Option<Block>,
    ) -> anyhow::Result<Standby> {
        let (heard, told) = std::io::pipe()?;
        let mut command = Command::new(&program);
        command
            .arg("guard")
            .args(["--instance", &ward.instance])
            .args(["--owner", &std::process::id().to_string()])
            .arg("--state")
            .arg(&state)
            .env_remove(MARKER)
            .stdin(heard)
            .stdout(Stdio::piped())
            // Ctrl-C goes to the group in the foreground, and the guard must outlive it.
            .process_group(0);
        if let Some(Block(block)) = block {
            command.args(["--block", &block.to_string()]);
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let out = child.stdout.take().context("the guard has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).await?;
        let answer = serde_json::from_str(&line).context("the guard did not answer")?;
        match answer {
            Answer::Ready { block } => {
                ward.roster.follow(told);
                Ok(Standby {
                    ward,
                    block: Block(block),
                    program,
                    state,
                    child,
                })
            }
            Answer::Busy { owner } => anyhow::bail!(
                "process {owner} runs local mode in {} (--state takes another directory)",
                state.display()
            ),
            Answer::Failed { why } => anyhow::bail!("the guard cannot stand by: {why}"),
        }
    }

    /// Replaces the guard whenever it ends. Never returns but with an error.
    pub(super) async fn watch(&mut self) -> anyhow::Result<()> {
        loop {
            let status = self.child.wait().await?;
            tracing::warn!(%status, "the guard ended, another one takes over");
            let next = Self::start(
                self.program.clone(),
                self.state.clone(),
                self.ward.clone(),
                Some(self.block),
            );
            *self = next.await?;
        }
    }
}
