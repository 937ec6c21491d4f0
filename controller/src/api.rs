//! Argo Rollouts' API, `argoproj.io/v1alpha1`, as Kubernetes objects: what the API server stores and
//! checks for us, and out of it the CustomResourceDefinitions.
//!
//! Names, columns and subresources are those of Argo Rollouts 1.10. The first level of spec and
//! status is typed, and everything below it is kept as it was written: what it means is for
//! `serin_core::plan` and `serin_core::analysis` to say, with better messages than a schema has.
//! Fields that are not known here are kept too, so objects written for later versions come back
//! whole. That also makes each definition small enough for a plain `kubectl apply`.

mod analysis;
mod experiment;
mod free;
mod rollout;

pub use analysis::{
    AnalysisRun, AnalysisRunSpec, AnalysisRunStatus, AnalysisTemplate, AnalysisTemplateSpec,
    ClusterAnalysisTemplate, ClusterAnalysisTemplateSpec,
};
pub use experiment::{Experiment, ExperimentSpec, ExperimentStatus};
pub use free::{Free, FreeList, Rest};
pub use rollout::{Rollout, RolloutSpec, RolloutStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

/// The definitions of all kinds, in the order of their names.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        with_plain_status(AnalysisRun::crd()),
        AnalysisTemplate::crd(),
        ClusterAnalysisTemplate::crd(),
        with_plain_status(Experiment::crd()),
        Rollout::crd(),
    ]
}

/// A status that is written with the object, not apart from it, as clients of these kinds expect.
fn with_plain_status(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        version.subresources = None;
    }
    definition
}

/// The definitions as one YAML file of several documents, for `kubectl apply`.
///
/// # Errors
/// If a definition cannot be written as YAML.
pub fn definitions_yaml() -> Result<String, serde_norway::Error> {
    definitions()
        .iter()
        .map(|definition| Ok(format!("---\n{}", serde_norway::to_string(definition)?)))
        .collect()
}

#[cfg(test)]
mod tests;
