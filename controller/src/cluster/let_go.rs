//! What a Rollout no longer names is given back: a Service or DestinationRule that it managed selects
//! again whatever it did without one. Otherwise a Service would go on to select the pods of a Rollout
//! that is gone.

use futures::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use serin_core::plan::{Plan, Router};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

use super::context::Context;
use super::reconcile::PassError;
use super::watched::Holding;
use super::{istio, services};
use crate::api::Rollout;

/// What a Rollout goes on to manage.
#[derive(Debug, Default)]
struct Kept<'a> {
    services: BTreeSet<&'a str>,
    rule: Option<&'a str>,
}

/// A Rollout by its namespace and its name.
pub(super) type Name = (String, String);

/// Gives back what a Rollout with this plan managed and does not name.
///
/// # Errors
/// If the API server does not do what it is asked.
pub(super) async fn by_plan(context: &Context, plan: &Plan) -> Result<(), PassError> {
    let rule = match &plan.router {
        Router::Istio(router) => router.destination_rule.as_ref(),
        _ => None,
    };
    let kept = Kept {
        services: services::named(plan)
            .into_iter()
            .map(|(_, name)| name)
            .collect(),
        rule: rule.map(|rule| &*rule.name),
    };
    give_back(context, &plan.namespace, &plan.name, &kept).await
}

/// Gives back what Rollouts managed that are gone: those that went while nobody looked, and those
/// that are told of.
pub(super) async fn by_gone(context: &Context, gone: UnboundedReceiver<Name>) {
    context.ready.clone().await;
    while context.watched.holds_istio() == Holding::Soon {
        tokio::time::sleep(AGAIN).await;
    }
    let mut gone = gone;
    let told = stream::poll_fn(move |task| gone.poll_recv(task));
    let before = stream::iter(unknown(context));
    let all = before.chain(told);
    all.for_each(|(namespace, name)| async move {
        let mut tries = 0;
        while let Err(error) = let_go(context, &namespace, &name).await {
            tries += 1;
            if !error.is_conflict() {
                tracing::warn!(namespace, name, %error, "what a Rollout managed is not given back");
            }
            if tries == TRIES {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    })
    .await;
}

/// How often it is tried; whoever starts next tries again.
const TRIES: u32 = 10;
const AGAIN: Duration = Duration::from_secs(1);

/// The Rollouts that objects say they are managed by and that are not held.
fn unknown(context: &Context) -> Vec<Name> {
    let is_held = |(namespace, name): &Name| {
        let reference = ObjectRef::new(name).within(namespace);
        context.watched.rollouts.get(&reference).is_some()
    };
    let managers = context.watched.managers().into_iter();
    managers.filter(|name| !is_held(name)).collect()
}

/// Lets go of everything, if there is no Rollout of this name: another controller may look after it.
async fn let_go(context: &Context, namespace: &str, name: &str) -> Result<(), PassError> {
    let api: Api<Rollout> = Api::namespaced(context.client.clone(), namespace);
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let listed = api.list(&named).await;
    let listed = listed.map_err(PassError::api("look for a Rollout"))?;
    match listed.items.is_empty() {
        true => give_back(context, namespace, name, &Kept::default()).await,
        false => Ok(()),
    }
}

async fn give_back(
    context: &Context,
    namespace: &str,
    rollout: &str,
    kept: &Kept<'_>,
) -> Result<(), PassError> {
    let (watched, params) = (&context.watched, PatchParams::default());
    for service in watched.services_of(namespace, rollout) {
        let name = service.name_any();
        if kept.services.contains(&*name) {
            continue;
        }
        let api: Api<Service> = Api::namespaced(context.client.clone(), namespace);
        let patch = Patch::Merge(services::given_back(&service));
        let patched = api.patch(&name, &params, &patch).await;
        ignore_gone(patched).map_err(PassError::api(format!("give back Service {name}")))?;
        tracing::info!(rollout, service = name, "given back");
    }
    for rule in watched.rules_of(namespace, rollout) {
        let name = rule.name_any();
        if kept.rule == Some(&*name) {
            continue;
        }
        let before = serde_json::to_value(&*rule).map_err(|source| PassError::Json {
            what: "a DestinationRule",
            source,
        })?;
        let Some(patch) = istio::patch(&before, &istio::given_back(&before)) else {
            continue;
        };
        let kind = &watched.istio.destination_rule;
        let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, kind);
        let patched = api.patch(&name, &params, &Patch::Json::<()>(patch)).await;
        ignore_gone(patched)
            .map_err(PassError::api(format!("give back DestinationRule {name}")))?;
        tracing::info!(rollout, destination_rule = name, "given back");
    }
    Ok(())
}

fn ignore_gone<K>(patched: kube::Result<K>) -> kube::Result<()> {
    match patched {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
