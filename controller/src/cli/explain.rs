//! `serin explain`: where a request goes at each step of a release, and why.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serin_core::plan::Plan;

use super::screen;
use crate::explain::{Asked, Line, explain};
use crate::manifest;

/// `serin explain`
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The directory with the Rollout's manifest
    #[arg(short, long, value_name = "DIR")]
    filename: PathBuf,
    /// The Rollout, if there are several
    #[arg(value_name = "[NAMESPACE/]ROLLOUT")]
    rollout: Option<String>,
    /// A header that the request has; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Its path with its query
    #[arg(long, default_value = "/", value_parser = path)]
    path: String,
    /// Its method
    #[arg(long, default_value = "GET", value_parser = method)]
    method: String,
    /// The host that it names [default: the stable Service]
    #[arg(long)]
    host: Option<String>,
}

impl Explain {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let plan = self.plan()?;
        let asked = Asked {
            host: self.host,
            method: self.method,
            path: self.path,
            headers: self.headers,
        };
        screen::write(&picture(&plan, &explain(&plan, &asked)?))?;
        Ok(ExitCode::SUCCESS)
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        let dir = &self.filename;
        let mut plans = manifest::plans(&manifest::texts(dir)?)?;
        if let Some(name) = &self.rollout {
            plans.retain(|plan| plan.name == *name || full(plan) == *name);
        }
        let names: Vec<String> = plans.iter().map(full).collect();
        match (plans.len(), &self.rollout) {
            (0, Some(name)) => bail!("no Rollout {name:?} in {}", dir.display()),
            (0, None) => bail!("no Rollout in {}", dir.display()),
            (1, _) => plans.pop().context("there is one"),
            _ => bail!(
                "{} has Rollouts {}, expected the name of one",
                dir.display(),
                names.join(", ")
            ),
        }
    }
}

fn full(plan: &Plan) -> String {
    format!("{}/{}", plan.namespace, plan.name)
}

/// What is told, one line for each step.
fn picture(plan: &Plan, lines: &[Line]) -> String {
    let steps = plan.steps.len();
    let when = |line: &Line| match line.after {
        0 => "before the first step".to_string(),
        after => format!("after step {after} of {steps}, {}", line.step),
    };
    let width = |text: &dyn Fn(&Line) -> String| {
        let widths = lines.iter().map(|line| text(line).chars().count());
        widths.max().unwrap_or(0)
    };
    let (first, second) = (width(&when), width(&|line| line.goes_to.clone()));
    let mut text = format!("Rollout {}\n", full(plan));
    for line in lines {
        let (when, goes_to) = (when(line), &line.goes_to);
        text.push_str(&format!(
            "  {when:first$}  {goes_to:second$}  {}\n",
            line.why
        ));
    }
    text.push_str("after the last step everybody gets the new version, which is stable then\n");
    text
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let name = http::HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| format!("{name:?} is no header name, expected letters, digits and -"))?;
    Ok((name.as_str().to_string(), value.to_string()))
}

fn path(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_string()),
        false => Err("expected a path that begins with /".to_string()),
    }
}

fn method(text: &str) -> Result<String, String> {
    let method = http::Method::from_bytes(text.to_ascii_uppercase().as_bytes());
    let method = method.map_err(|_| "expected a method such as GET".to_string())?;
    Ok(method.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_is_written() {
        assert_eq!(header("X-User=a=b"), Ok(("x-user".into(), "a=b".into())));
        assert_eq!(header("X-User"), Err("expected NAME=VALUE".into()));
        assert!(header(":path=/x").is_err());
        assert_eq!(method("put"), Ok("PUT".into()));
        assert!(method("a b").is_err());
        assert!(path("pay").is_err());
    }
}
