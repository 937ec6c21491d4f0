//! Which ReplicaSet has the template that is asked for. Whoever made it, it keeps its pods: the API
//! server itself fills in what a template leaves out, and then they can be compared.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use serin_core::plan::Plan;
use serin_core::revision;

use super::reconcile::own_labels;
use super::sets::{self, Making};

/// A version, as its ReplicaSet is labelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The template hash in its labels.
    pub hash: String,
    /// The hash of the template as it is written now.
    pub written: String,
}

/// Why it is not known which version is asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityError {
    /// The API server refuses the template.
    #[error("spec.template: {0}")]
    Refused(String),
    /// It cannot be asked.
    #[error(transparent)]
    Unknown(#[from] kube::Error),
}

/// The version that a plan asks for. `known` are the Rollout's ReplicaSets, `collisions` says how
/// often a new name was taken.
///
/// # Errors
/// If the API server refuses the template, or does not answer.
pub(super) async fn identify(
    client: &Client,
    plan: &Plan,
    rollout: &Value,
    selector: &Value,
    known: &[Arc<ReplicaSet>],
    collisions: u64,
) -> Result<Version, IdentityError> {
    let written = match collisions {
        0 => revision::hash(&plan.template),
        many => revision::hash(&json!({"template": plan.template, "collisions": many})),
    };
    let same = |set: &&Arc<ReplicaSet>| set.annotations().get(sets::TEMPLATE) == Some(&written);
    if let Some(hash) = known.iter().find(same).and_then(|set| sets::hash_of(set)) {
        let hash = hash.to_string();
        return Ok(Version { hash, written });
    }
    let making = Making {
        plan,
        rollout,
        selector,
        hash: &written,
        written: &written,
        revision: 0,
        replicas: 0,
        role: &Default::default(),
        apart_from: None,
    };
    let Some(filled_in) = filled_in(client, plan, sets::object(&making)).await? else {
        let hash = written.clone();
        return Ok(Version { hash, written });
    };
    let template = sets::bare(&filled_in);
    let alike = match known.iter().all(|set| differs(&template, set)) {
        true => None,
        false => alike(client, plan, selector, known, &template).await?,
    };
    let hash = alike.unwrap_or_else(|| written.clone());
    Ok(Version { hash, written })
}

/// Whether it is plain that a ReplicaSet's pods are of another template: a container has another
/// image. Both are as the API server fills them in, webhooks that write images anew included.
fn differs(template: &Value, set: &ReplicaSet) -> bool {
    let written = template["spec"]["containers"].as_array();
    let image = |name: &str| {
        let spec = set.spec.template.as_ref()?.spec.as_ref()?;
        let mut containers = spec.containers.iter();
        containers
            .find(|container| container.name == name)?
            .image
            .as_deref()
    };
    written.into_iter().flatten().any(|container| {
        let name = container["name"].as_str().unwrap_or_default();
        match (container["image"].as_str(), image(name)) {
            (Some(written), Some(has)) => written != has,
            _ => false,
        }
    })
}

/// A ReplicaSet as the API server would store it; none if a webhook keeps it from saying so, since
/// it does not support dry runs.
async fn filled_in(
    client: &Client,
    plan: &Plan,
    mut set: Value,
) -> Result<Option<Value>, IdentityError> {
    // Its name may be taken, which is no matter here.
    if let Some(metadata) = set["metadata"].as_object_mut() {
        metadata.remove("name");
        metadata.insert("generateName".to_string(), json!(format!("{}-", plan.name)));
    }
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let set: DynamicObject = serde_json::from_value(set).map_err(kube::Error::SerdeError)?;
    match api(client, plan).create(&dry, &set).await {
        Ok(set) => Ok(Some(
            serde_json::to_value(set).map_err(kube::Error::SerdeError)?,
        )),
        Err(kube::Error::Api(status))
            if status.code == 400 && status.message.contains("dry run") =>
        {
            tracing::warn!(rollout = plan.name, why = status.message, "no dry run");
            Ok(None)
        }
        Err(kube::Error::Api(status)) if status.is_invalid() || status.code == 400 => {
            Err(IdentityError::Refused(status.message.clone()))
        }
        Err(error) => Err(error.into()),
    }
}

/// The hash of one that has this template.
async fn alike(
    client: &Client,
    plan: &Plan,
    selector: &Value,
    known: &[Arc<ReplicaSet>],
    template: &Value,
) -> Result<Option<String>, kube::Error> {
    let labelled = ListParams::default().labels(&own_labels(selector));
    let listed = api(client, plan).list(&labelled).await?;
    let own = |set: &&DynamicObject| known.iter().any(|known| known.uid() == set.uid());
    let mut alike: Vec<(i64, String)> = Vec::new();
    for set in listed.iter().filter(own) {
        let value = serde_json::to_value(set).map_err(kube::Error::SerdeError)?;
        let hash = set.labels().get(revision::HASH_LABEL).cloned();
        if let (true, Some(hash)) = (sets::bare(&value) == *template, hash) {
            let created = set.creation_timestamp();
            alike.push((created.map_or(0, |at| at.0.as_second()), hash));
        }
    }
    // Of several, the oldest, as Argo Rollouts and Deployments choose.
    Ok(alike.into_iter().min().map(|(_, hash)| hash))
}

fn api(client: &Client, plan: &Plan) -> Api<DynamicObject> {
    let kind = ApiResource::erase::<ReplicaSet>(&());
    Api::namespaced_with(client.clone(), &plan.namespace, &kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_another_name_is_another_template() {
        let template =
            |image: &str| json!({"spec": {"containers": [{"name": "app", "image": image}]}});
        let set = |name: &str, image: &str| -> ReplicaSet {
            let containers = json!([{"name": name, "image": image}]);
            let template = json!({"spec": {"containers": containers}});
            let set = json!({"metadata": {}, "spec": {"selector": {}, "template": template}});
            serde_json::from_value(set).expect("a ReplicaSet")
        };
        assert!(differs(&template("app:2"), &set("app", "app:1")));
        assert!(!differs(&template("app:2"), &set("app", "app:2")));
        assert!(!differs(&template("app:2"), &set("other", "app:1")));
        assert!(!differs(&json!({}), &set("app", "app:1")));
    }
}
