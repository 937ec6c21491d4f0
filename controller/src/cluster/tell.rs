//! What others are told: events on the Rollout, and one line in the log for each change of state.

use futures::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use kube::runtime::events::{Event as Published, EventType, Recorder};
use serin_core::step::{Decision, Event, Phase, Why};

use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::memory;
use super::metrics;
use super::reconcile::Pass;

/// The reason of events about a manifest that is carried out.
const NOTICE: &str = "SpecNotice";

/// The reason of events about proxies that do not run what they should.
const BEHIND: &str = "ProxiesBehind";

/// Tells of a decision that was stored.
pub(super) fn tell(pass: &Pass<'_>, decision: &Decision) {
    let rollout = key(pass);
    for event in decision
        .events
        .iter()
        .chain(&aborted_by_hand(pass, decision))
    {
        tracing::info!(%rollout, reason = event.reason, message = event.message, "event");
        publish(pass, &event.reason, &event.message);
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

/// The event of an abort that a client asked for, which the pass found decided.
fn aborted_by_hand(pass: &Pass<'_>, decision: &Decision) -> Option<Event> {
    const REASON: &str = "RolloutAborted";
    let before = pass.status.get(memory::FIELD)?;
    let told = decision.events.iter().any(|event| event.reason == REASON);
    match &decision.why {
        Why::Aborted { revision, why } if before["state"]["abort"].is_null() && !told => {
            Some(Event {
                reason: REASON.to_string(),
                message: format!("Rollout aborted update to revision {revision}: {why}"),
            })
        }
        _ => None,
    }
}

/// Tells what is carried out otherwise than its author may think, once.
pub(super) fn notices(pass: &Pass<'_>, notices: Vec<String>) {
    for notice in pass.context.news_of(pass.uid, notices) {
        tracing::warn!(rollout = %key(pass), notice, "notice");
        publish(pass, NOTICE, &notice);
    }
}

/// Tells that a Rollout is not carried out.
pub(super) fn refused(pass: &Pass<'_>, why: &str) {
    tracing::warn!(rollout = %key(pass), why, "refused");
    publish(pass, "InvalidSpec", why);
}

/// Tells that proxies do not run what they should.
pub(super) fn behind(pass: &Pass<'_>, told: &str) {
    tracing::warn!(rollout = %key(pass), told, "proxies are behind");
    publish(pass, BEHIND, told);
}

/// Tells of something that was done.
pub(super) fn event(pass: &Pass<'_>, reason: &str, message: &str) {
    tracing::info!(rollout = %key(pass), reason, message, "event");
    publish(pass, reason, message);
}

fn publish(pass: &Pass<'_>, reason: &str, message: &str) {
    const ACTION_MAX: usize = 128;
    let bad = ["RolloutAborted", "InvalidSpec", NOTICE, BEHIND].contains(&reason);
    // Events that differ only in their note are counted as one: the action tells them apart.
    let action: String = message.chars().take(ACTION_MAX).collect();
    let (type_, kind) = match bad {
        true => (EventType::Warning, "Warning"),
        false => (EventType::Normal, "Normal"),
    };
    pass.context
        .metrics
        .event(metrics::key(pass.rollout), kind, reason);
    let event = Published {
        type_,
        reason: reason.to_string(),
        note: Some(message.to_string()),
        action,
        secondary: None,
    };
    // Nobody listens only when the controller has ended.
    let _ = pass.context.outlets.events.send((event, reference(pass)));
}

/// An event and what it is about.
pub(super) type Told = (Published, ObjectReference);

/// Publishes events beside the passes, which would wait for the API server with each. It ends when
/// all who could send any are gone, and all are published.
pub(super) async fn publishing(recorder: Recorder, mut events: UnboundedReceiver<Told>) {
    const AT_ONCE: usize = 8;
    const PATIENCE: Duration = Duration::from_secs(10);
    let events = stream::poll_fn(move |context| events.poll_recv(context));
    let published = events.for_each_concurrent(AT_ONCE, |(event, about)| {
        let recorder = recorder.clone();
        async move {
            let published = timeout(PATIENCE, recorder.publish(&event, &about)).await;
            let error = match published {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer for {PATIENCE:?}"),
            };
            let (namespace, name) = (about.namespace, about.name);
            tracing::warn!(error, namespace, name, event.reason, "an event is lost");
        }
    });
    published.await;
}

fn reference(pass: &Pass<'_>) -> ObjectReference {
    pass.rollout.object_ref(&())
}

fn key(pass: &Pass<'_>) -> String {
    let (namespace, name) = metrics::key(pass.rollout);
    format!("{namespace}/{name}")
}
