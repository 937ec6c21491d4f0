//! Manifests as text: applied whatever kinds they are of.

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, ApiResource, Scope, pinned_kind};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use std::collections::HashMap;
use tokio::sync::Mutex;

/// The kinds that were asked for, so that the API server is asked once for each.
#[derive(Debug, Default)]
pub(crate) struct Kinds(Mutex<HashMap<GroupVersionKind, (ApiResource, Scope)>>);

impl Kinds {
    pub(crate) async fn apply(&self, client: &Client, yaml: &str, namespace: &str) {
        for document in serde_norway::Deserializer::from_str(yaml) {
            let object = Option::<DynamicObject>::deserialize(document);
            match object.unwrap_or_else(|error| panic!("{error}:\n{yaml}")) {
                Some(object) => self.apply_one(client, &object, namespace).await,
                None => continue,
            }
        }
    }

    async fn apply_one(&self, client: &Client, object: &DynamicObject, namespace: &str) {
        let types = object.types.as_ref().expect("apiVersion and kind");
        let kind = GroupVersionKind::try_from(types).expect("an apiVersion of two parts");
        let (resource, scope) = self.resource(client, &kind).await;
        let api = match scope {
            Scope::Cluster => Api::<DynamicObject>::all_with(client.clone(), &resource),
            Scope::Namespaced => {
                let own = object.namespace();
                let namespace = own.as_deref().unwrap_or(namespace);
                Api::namespaced_with(client.clone(), namespace, &resource)
            }
        };
        let name = object.name_any();
        let applied = api
            .patch(
                &name,
                &PatchParams::apply("tests").force(),
                &Patch::Apply(object),
            )
            .await;
        applied.unwrap_or_else(|error| panic!("apply {} {name}: {error}", kind.kind));
    }

    async fn resource(&self, client: &Client, kind: &GroupVersionKind) -> (ApiResource, Scope) {
        let mut known = self.0.lock().await;
        if let Some(found) = known.get(kind) {
            return found.clone();
        }
        let (resource, ApiCapabilities { scope, .. }) = pinned_kind(client, kind)
            .await
            .unwrap_or_else(|error| panic!("no kind {kind:?}: {error}"));
        known.insert(kind.clone(), (resource.clone(), scope.clone()));
        (resource, scope)
    }
}
