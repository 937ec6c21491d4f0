//! The CustomResourceDefinitions of Serin and Istio: in they go, and are in force.

use futures::future::join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::local::tool;

/// Creates all definitions and waits until each is in force.
pub(crate) async fn install(client: &Client) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds.yaml");
    let istio = tool("pilot-discovery").with_file_name("crds.yaml");
    let all = [own, istio].map(|path| read(&path));
    join_all(all.concat().iter().map(|one| put_in_force(client, one))).await;
}

fn read(path: &Path) -> Vec<CustomResourceDefinition> {
    let text = fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    let documents = serde_norway::Deserializer::from_str(&text);
    let definitions = documents.map(Option::<CustomResourceDefinition>::deserialize);
    let definitions: Result<Vec<_>, _> = definitions.collect();
    let definitions = definitions.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    definitions.into_iter().flatten().collect()
}

async fn put_in_force(client: &Client, definition: &CustomResourceDefinition) {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let name = definition.name_any();
    let created = api.create(&PostParams::default(), definition).await;
    created.unwrap_or_else(|error| panic!("create definition {name}: {error}"));
    loop {
        let stored = api.get(&name).await;
        let stored = stored.unwrap_or_else(|error| panic!("read definition {name}: {error}"));
        let conditions = stored.status.and_then(|status| status.conditions);
        let conditions = conditions.unwrap_or_default();
        let holds = |kind: &str| {
            conditions
                .iter()
                .any(|c| c.type_ == kind && c.status == "True")
        };
        assert!(!holds("NonStructuralSchema"), "{name}: {conditions:#?}");
        if holds("Established") && holds("NamesAccepted") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
