//! `serin render`: the objects by which a mesh gets the filter, as YAML for kubectl.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::Value;
use serin_core::plan::{Plan, Router};

use super::screen;
use crate::manifest;
use crate::mesh::objects::{self, Owner};
use crate::mesh::routes;
use crate::mesh::telemetry;

/// `serin render`
#[derive(Args, Debug)]
pub(super) struct Render {
    /// The directory with the Rollouts' manifests
    #[arg(short, long, value_name = "DIR")]
    filename: PathBuf,
    /// Istio's root namespace: what is there is for all proxies of the mesh
    #[arg(long, value_name = "NAME", default_value = "istio-system")]
    root_namespace: String,
}

impl Render {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let plans = manifest::plans(&manifest::texts(&self.filename)?)?;
        let mut text = String::new();
        for object in self.objects(&plans)? {
            text.push_str("---\n");
            text.push_str(&serde_norway::to_string(&object)?);
        }
        screen::write(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The filter's place, its names on Istio's metrics, and each Rollout's routes. What the filter is
    /// to do is written while a release is in flight, and by nobody but the controller.
    fn objects(&self, plans: &[Plan]) -> anyhow::Result<Vec<Value>> {
        let by_filter = |plan: &&Plan| matches!(plan.router, Router::Wasm(_));
        let plans: Vec<&Plan> = plans.iter().filter(by_filter).collect();
        if plans.is_empty() {
            bail!(
                "no Rollout in {} has spec.strategy.canary.trafficRouting.plugins serin/wasm, \
                 expected one",
                self.filename.display()
            );
        }
        let namespace = &self.root_namespace;
        let mut all = vec![
            objects::place(&Owner::of_all(namespace), 0),
            telemetry::telemetry(namespace),
        ];
        all.extend(plans.into_iter().filter_map(routes::own));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::fixture::plan;
    use serde_json::json;

    fn render() -> Render {
        Render {
            filename: "manifests".into(),
            root_namespace: "istio-system".into(),
        }
    }

    #[test]
    fn each_object_has_its_place() {
        let wasm = json!({"plugins": {"serin/wasm": {}}});
        let objects = render().objects(&[plan(&wasm)]).expect("objects");
        let names = |object: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
            let metadata = &object["metadata"];
            [&object["kind"], &metadata["namespace"], &metadata["name"]]
                .map(text)
                .join(" ")
        };
        let names: Vec<String> = objects.iter().map(names).collect();
        assert_eq!(
            names,
            [
                "EnvoyFilter istio-system serin-filter",
                "Telemetry istio-system serin-tags",
                "VirtualService web serin-shop",
            ]
        );
    }

    #[test]
    fn a_directory_without_such_a_rollout_is_refused() {
        let istio = json!({"istio": {"virtualService": {"name": "shop"}}});
        for plans in [vec![], vec![plan(&istio)]] {
            let refused = render().objects(&plans).expect_err("none").to_string();
            assert!(
                refused.contains("manifests") && refused.contains("serin/wasm"),
                "{refused}"
            );
        }
    }
}
