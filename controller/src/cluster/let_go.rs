//! What a Rollout no longer names is given back: a Service or DestinationRule that it managed selects
//! again whatever it did without one. Otherwise a Service would go on to select the pods of a Rollout
//! that is gone.

use futures::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use serin_core::plan::{Plan, Router};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

use super::act::is_failed_test;
use super::context::Context;
use super::reconcile::PassError;
use super::watched::Holding;
use super::{istio, services};
use crate::api::Rollout;
use crate::mesh::routes;

/// What a Rollout goes on to manage.
#[derive(Debug, Default)]
struct Kept<'a> {
    services: BTreeSet<&'a str>,
    rule: Option<&'a str>,
}

/// A Rollout by its namespace and its name.
pub(super) type Name = (String, String);

/// Gives back what a Rollout with this plan managed and does not name, and deletes routes of the
/// controller's own that it has no use for.
///
/// # Errors
/// If the API server does not do what it is asked.
pub(super) async fn by_plan(
    context: &Context,
    rollout: &Rollout,
    plan: &Plan,
) -> Result<(), PassError> {
    delete_own_routes(context, rollout, plan).await?;
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
/// that are told of. None waits for another.
pub(super) async fn by_gone(context: &Context, gone: UnboundedReceiver<Name>) {
    context.ready.clone().await;
    let mut gone = gone;
    let told = stream::poll_fn(move |task| gone.poll_recv(task));
    // Istio's objects are held later, or never.
    let later = stream::once(until_istio(context)).flat_map(|()| stream::iter(unknown(context)));
    let before = stream::iter(unknown(context));
    let all = stream::select(before.chain(told), later);
    all.for_each_concurrent(None, |(namespace, name)| async move {
        let mut waits = FIRST_WAIT;
        while let Err(error) = let_go(context, &namespace, &name).await {
            if !error.is_conflict() {
                tracing::warn!(namespace, name, %error, "what a Rollout managed is not given back");
            }
            tokio::time::sleep(waits).await;
            waits = (waits * 2).min(LONGEST_WAIT);
        }
    })
    .await;
}

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Ends once Istio's objects are held, if they ever are.
async fn until_istio(context: &Context) {
    while context.watched.holds_istio() == Holding::Soon {
        tokio::time::sleep(FIRST_WAIT).await;
    }
}

/// The Rollouts that objects say they are managed by and that are not held.
fn unknown(context: &Context) -> Vec<Name> {
    let is_held = |(namespace, name): &Name| {
        let reference = ObjectRef::new(name).within(namespace);
        context.watched.rollouts.get(&reference).is_some()
    };
    // Anybody may write an annotation; what cannot be a name is no Rollout's.
    let is_name = |(_, name): &Name| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        name.chars().all(plain)
    };
    let managers = context.watched.managers().into_iter();
    let managers = managers.filter(|name| is_name(name) && !is_held(name));
    managers.collect()
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
    let watched = &context.watched;
    let mut failed = None;
    for service in watched.services_of(namespace, rollout) {
        if !kept.services.contains(&*service.name_any()) {
            let given_back = give_back_service(context, namespace, &service).await;
            failed = failed.or(given_back.err());
        }
    }
    for rule in watched.rules_of(namespace, rollout) {
        if kept.rule != Some(&*rule.name_any()) {
            let given_back = give_back_rule(context, namespace, &rule).await;
            failed = failed.or(given_back.err());
        }
    }
    failed.map_or(Ok(()), Err)
}

/// A Rollout that names VirtualServices, or that the filter does not route, has none of ours.
async fn delete_own_routes(
    context: &Context,
    rollout: &Rollout,
    plan: &Plan,
) -> Result<(), PassError> {
    let has_own = routes::own(plan).is_some();
    let (name, namespace) = (routes::own_name(&plan.name), &plan.namespace);
    let seen = context.watched.virtual_service(namespace, &name);
    let uid = rollout.uid().unwrap_or_default();
    let Some(seen) = seen.filter(|seen| !has_own && routes::is_owned_by(seen, &uid)) else {
        return Ok(());
    };
    let kind = &context.watched.istio.virtual_service;
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, kind);
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: seen["metadata"]["uid"].as_str().map(str::to_string),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let deleted = api.delete(&name, &params).await;
    ignore_gone(deleted).map_err(PassError::api(format!("delete VirtualService {name}")))
}

async fn give_back_service(
    context: &Context,
    namespace: &str,
    service: &Service,
) -> Result<(), PassError> {
    let name = service.name_any();
    let api: Api<Service> = Api::namespaced(context.client.clone(), namespace);
    let patch = Patch::Merge(services::given_back(service));
    let patched = api.patch(&name, &PatchParams::default(), &patch).await;
    ignore_gone(patched).map_err(PassError::api(format!("give back Service {name}")))?;
    tracing::info!(namespace, service = name, "given back");
    Ok(())
}

async fn give_back_rule(
    context: &Context,
    namespace: &str,
    rule: &DynamicObject,
) -> Result<(), PassError> {
    let name = rule.name_any();
    let before = serde_json::to_value(rule).map_err(|source| PassError::Json {
        what: "a DestinationRule",
        source,
    })?;
    let Some(patch) = istio::patch(&before, &istio::given_back(&before)) else {
        return Ok(());
    };
    let kind = &context.watched.istio.destination_rule;
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, kind);
    let patch = Patch::Json::<()>(patch);
    let what = format!("give back DestinationRule {name}");
    match api.patch(&name, &PatchParams::default(), &patch).await {
        Err(kube::Error::Api(status)) if is_failed_test(&status) => {
            return Err(PassError::Stale { what });
        }
        patched => ignore_gone(patched).map_err(PassError::api(what))?,
    }
    tracing::info!(namespace, destination_rule = name, "given back");
    Ok(())
}

fn ignore_gone<K>(patched: kube::Result<K>) -> kube::Result<()> {
    match patched {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
