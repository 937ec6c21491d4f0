//! Changes of a pod template: to an older one, or to other images.

use kube::api::DynamicObject;
use serde_json::{Value, json};
use serin_core::revision::{self, HASH_LABEL};
use serin_core::verb::VerbRefusal;

use super::picture::{is_observed, revision_of};
use crate::api::Rollout;

/// An image for a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetImage {
    /// The container's name, `*` for all.
    pub container: String,
    /// The image.
    pub image: String,
}

/// No container is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("container {asked} is unknown, expected one of {known}")]
pub struct UnknownContainer {
    /// What was asked for.
    pub asked: String,
    /// What there is.
    pub known: String,
}

impl std::str::FromStr for SetImage {
    type Err = String;

    fn from_str(text: &str) -> Result<SetImage, String> {
        match text.split_once('=') {
            Some((container, image)) if !container.is_empty() && !image.is_empty() => {
                Ok(SetImage {
                    container: container.to_string(),
                    image: image.to_string(),
                })
            }
            _ => Err("expected CONTAINER=IMAGE, or *=IMAGE for all containers".to_string()),
        }
    }
}

/// The number and template of an older revision, among the ReplicaSets of a Rollout; without a
/// number, of the one before the newest.
///
/// # Errors
/// If there is no such revision, or it is the one asked for already.
pub fn older(
    rollout: &Rollout,
    sets: &[DynamicObject],
    asked: Option<u64>,
) -> Result<(u64, Value), VerbRefusal> {
    let numbered = sets.iter().map(|set| (revision_of(&set.metadata), set));
    let mut revisions: Vec<(u64, &DynamicObject)> =
        numbered.filter(|(number, _)| *number > 0).collect();
    revisions.sort_by_key(|(number, _)| *number);
    let (number, set) = match asked {
        Some(asked) => revisions
            .iter()
            .find(|(number, _)| *number == asked)
            .ok_or_else(|| VerbRefusal::UnknownRevision {
                asked,
                known: known(&revisions),
            })?,
        None => revisions
            .iter()
            .rev()
            .nth(1)
            .ok_or(VerbRefusal::NoOlderRevision)?,
    };
    let newest = revisions.last().map(|(newest, _)| newest);
    // A spec that nobody has acted on yet asks for something else than the newest revision.
    if newest == Some(number) && is_observed(rollout) {
        return Err(VerbRefusal::SameRevision(*number));
    }
    Ok((*number, written(&set.data["spec"]["template"])))
}

fn known(revisions: &[(u64, &DynamicObject)]) -> String {
    let numbers = revisions.iter().map(|(number, _)| number.to_string());
    numbers.collect::<Vec<_>>().join(", ")
}

/// A ReplicaSet's template as a person would have written it: without the hash in it, and without
/// the name of the version's workload.
fn written(template: &Value) -> Value {
    let mut template = template.clone();
    revision::remove_own_workload(&mut template);
    let labels = template.pointer_mut("/metadata/labels");
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    let meta = template.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(meta) = meta {
        // What a ReplicaSet's template has of its metadata and no Rollout's.
        meta.retain(|_, value| !value.is_null());
    }
    template
}

/// The JSON patch that sets images in the template at `pointer` of an object. Each image is only
/// set where the container is still the one that was meant.
///
/// # Errors
/// If there is no such container.
pub fn images(
    template: &Value,
    pointer: &str,
    wanted: &[SetImage],
) -> Result<Value, UnknownContainer> {
    const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
    let mut containers = Vec::new();
    for list in LISTS {
        let all = template["spec"][list].as_array();
        for (i, container) in all.into_iter().flatten().enumerate() {
            let name = container["name"].as_str().unwrap_or_default();
            containers.push((name, format!("{pointer}/spec/{list}/{i}")));
        }
    }
    let mut patch = Vec::new();
    for SetImage { container, image } in wanted {
        let mut meant = containers
            .iter()
            .filter(|(name, _)| container == "*" || name == container)
            .peekable();
        if meant.peek().is_none() {
            let names: Vec<&str> = containers.iter().map(|(name, _)| *name).collect();
            return Err(UnknownContainer {
                asked: container.clone(),
                known: names.join(", "),
            });
        }
        for (name, path) in meant {
            patch.push(json!({"op": "test", "path": format!("{path}/name"), "value": name}));
            patch.push(json!({"op": "add", "path": format!("{path}/image"), "value": image}));
        }
    }
    Ok(Value::Array(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_written_as_container_and_image() {
        let read = |text: &str| text.parse::<SetImage>();
        let expected = SetImage {
            container: "app".into(),
            image: "registry:5000/shop:2@sha256=x".into(),
        };
        assert_eq!(read("app=registry:5000/shop:2@sha256=x"), Ok(expected));
        assert!(read("*=shop:2").is_ok());
        for bad in ["app", "=shop:2", "app=", ""] {
            assert!(
                read(bad)
                    .unwrap_err()
                    .starts_with("expected CONTAINER=IMAGE"),
                "{bad}"
            );
        }
    }

    #[test]
    fn images_are_set_where_their_containers_are() {
        let wanted = ["app=shop:2", "mesh=mesh:8"].map(|text| text.parse().unwrap());
        let patch = images(&template(), "/spec/template", &wanted).unwrap();
        assert_eq!(
            patch,
            json!([
                {"op": "test", "path": "/spec/template/spec/containers/1/name", "value": "app"},
                {"op": "add", "path": "/spec/template/spec/containers/1/image", "value": "shop:2"},
                {"op": "test", "path": "/spec/template/spec/initContainers/0/name", "value": "mesh"},
                {"op": "add", "path": "/spec/template/spec/initContainers/0/image", "value": "mesh:8"},
            ])
        );
        let all = images(&template(), "/template", &["*=one:1".parse().unwrap()]).unwrap();
        assert_eq!(all.as_array().unwrap().len(), 6);
        let error = images(&template(), "", &["application=shop:2".parse().unwrap()]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "container application is unknown, expected one of mesh, log, app"
        );
    }

    #[test]
    fn an_older_revision_is_chosen_by_number_or_as_the_one_before() {
        let chosen = |asked| older(&rollout(7), &sets(&[3, 12, 9, 0]), asked).map(|(n, _)| n);
        assert_eq!(chosen(None), Ok(9));
        assert_eq!(chosen(Some(3)), Ok(3));
        assert_eq!(chosen(Some(12)), Err(VerbRefusal::SameRevision(12)));
        let unknown = chosen(Some(4)).unwrap_err().to_string();
        assert_eq!(unknown, "revision 4 is unknown, expected one of 3, 9, 12");
        let alone = older(&rollout(7), &sets(&[1]), None).unwrap_err();
        assert_eq!(alone, VerbRefusal::NoOlderRevision);
        let unobserved = older(&rollout(8), &sets(&[11, 12]), Some(12));
        assert_eq!(unobserved.map(|(number, _)| number), Ok(12));
    }

    #[test]
    fn a_template_is_asked_for_without_its_hash_and_with_all_else() {
        let (_, template) = older(&rollout(7), &sets(&[1, 2]), None).unwrap();
        let expected = json!({"metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "app", "fieldOfALaterVersion": [1, null]}]}});
        assert_eq!(template, expected);
    }

    fn template() -> Value {
        json!({"spec": {
            "initContainers": [{"name": "mesh", "image": "mesh:7"}],
            "containers": [{"name": "log", "image": "log:1"}, {"name": "app", "image": "shop:1"}],
        }})
    }

    fn rollout(generation: i64) -> Rollout {
        let mut rollout = Rollout::new("shop", crate::api::RolloutSpec::default());
        rollout.metadata.generation = Some(generation);
        rollout.status = Some(crate::api::RolloutStatus {
            observed_generation: Some("7".into()),
            ..crate::api::RolloutStatus::default()
        });
        rollout
    }

    fn sets(numbers: &[u64]) -> Vec<DynamicObject> {
        let set = |number: &u64| {
            let set = json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {"name": format!("shop-{number}"),
                    "annotations": {"rollout.argoproj.io/revision": number.to_string()}},
                "spec": {"template": {
                    "metadata": {"creationTimestamp": null,
                        "labels": {"app": "shop", (HASH_LABEL): "abc",
                            (revision::WORKLOAD_LABEL): "shop-abc"}},
                    "spec": {"containers": [{"name": "app", "fieldOfALaterVersion": [1, null]}]},
                }},
            });
            serde_json::from_value(set).unwrap()
        };
        numbers.iter().map(set).collect()
    }
}
