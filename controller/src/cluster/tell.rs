//! What others are told: events on the Rollout, and one line in the log for each change of state.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use kube::runtime::events::{Event, EventType};
use serin_core::step::{Decision, Phase};

use super::reconcile::Pass;

/// Tells of a decision that was stored.
pub(super) async fn tell(pass: &Pass<'_>, decision: &Decision) {
    let rollout = key(pass);
    for event in &decision.events {
        tracing::info!(%rollout, reason = event.reason, message = event.message, "event");
        publish(pass, &event.reason, &event.message).await;
    }
    let why = &decision.why;
    let phase = decision.phase;
    if pass.context.is_news(pass.uid, &format!("{phase:?} {why}")) {
        match phase {
            Phase::Degraded => tracing::warn!(%rollout, ?phase, %why, "rollout"),
            _ => tracing::info!(%rollout, ?phase, %why, "rollout"),
        }
    }
}

/// Tells that a Rollout is not carried out.
pub(super) async fn refused(pass: &Pass<'_>, why: &str) {
    tracing::warn!(rollout = %key(pass), why, "refused");
    publish(pass, "InvalidSpec", why).await;
}

/// Tells of something that was done.
pub(super) async fn event(pass: &Pass<'_>, reason: &str, message: &str) {
    tracing::info!(rollout = %key(pass), reason, message, "event");
    publish(pass, reason, message).await;
}

async fn publish(pass: &Pass<'_>, reason: &str, message: &str) {
    const ACTION_MAX: usize = 128;
    let bad = ["RolloutAborted", "InvalidSpec"].contains(&reason);
    // Events that differ only in their note are counted as one: the action tells them apart.
    let action: String = message.chars().take(ACTION_MAX).collect();
    let event = Event {
        type_: if bad {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: reason.to_string(),
        note: Some(message.to_string()),
        action,
        secondary: None,
    };
    let published = pass
        .context
        .recorder
        .publish(&event, &reference(pass))
        .await;
    if let Err(error) = published {
        tracing::warn!(rollout = %key(pass), %error, reason, "an event is lost");
    }
}

fn reference(pass: &Pass<'_>) -> ObjectReference {
    pass.rollout.object_ref(&())
}

fn key(pass: &Pass<'_>) -> String {
    let metadata = &pass.rollout.metadata;
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}/{}", part(&metadata.namespace), part(&metadata.name))
}
