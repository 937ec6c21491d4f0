//! How many pods each version may have and for how long: the canary's numbers and delays.

use std::time::Duration;

use super::Plan;
use super::rollout::{flag, whole};
use crate::field::Field;

/// A number of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This many.
    Pods(u32),
    /// This percentage of `spec.replicas`.
    Percent(u32),
}

/// `replicaProgressThreshold`: how many of the pods that a step asks for are enough to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// This percentage of them, 1 to 100.
    Percent(u32),
    /// This many, or all if fewer are asked for.
    Pods(u32),
}

impl Amount {
    /// What both `maxSurge` and `maxUnavailable` are where the manifest is silent.
    const USUAL: Amount = Amount::Percent(25);

    fn is_zero(self) -> bool {
        matches!(self, Amount::Pods(0) | Amount::Percent(0))
    }

    /// In hundredths of a pod; which way they are rounded is the caller's.
    fn hundredths(self, replicas: u32) -> u64 {
        match self {
            Amount::Pods(pods) => u64::from(pods) * 100,
            Amount::Percent(percent) => u64::from(percent) * u64::from(replicas),
        }
    }
}

impl Plan {
    /// How many pods beyond `spec.replicas` there may be (`maxSurge`, rounded up).
    pub fn surge(&self) -> u32 {
        let surge = self.max_surge.unwrap_or(Amount::USUAL);
        u32::try_from(surge.hundredths(self.replicas).div_ceil(100)).unwrap_or(u32::MAX)
    }

    /// How many of `spec.replicas` pods may be unavailable (`maxUnavailable`, rounded down). One, if
    /// nothing could move otherwise.
    pub fn unavailable(&self) -> u32 {
        let unavailable = self.max_unavailable.unwrap_or(Amount::USUAL);
        let rounded = unavailable.hundredths(self.replicas) / 100;
        let most = u32::try_from(rounded).unwrap_or(u32::MAX);
        let least = u32::from(self.surge() == 0);
        most.max(least).min(self.replicas)
    }

    /// Whether `available` pods of the `wanted` ones are enough to go on.
    pub fn enough(&self, available: u32, wanted: u32) -> bool {
        match self.replica_progress_threshold {
            None => available >= wanted,
            Some(Threshold::Pods(least)) => available >= least.min(wanted),
            Some(Threshold::Percent(percent)) => {
                u64::from(available) * 100 >= u64::from(percent) * u64::from(wanted)
            }
        }
    }
}

/// What the canary strategy says of numbers and delays, read.
pub(super) struct Scaling {
    pub(super) max_surge: Option<Amount>,
    pub(super) max_unavailable: Option<Amount>,
    pub(super) scale_down_delay: Duration,
    pub(super) abort_scale_down_delay: Duration,
    pub(super) abort_keeps_canary: bool,
    pub(super) scale_down_delay_revision_limit: Option<usize>,
    pub(super) dynamic_stable_scale: bool,
    pub(super) min_pods: u32,
    pub(super) replica_progress_threshold: Option<Threshold>,
}

/// The fields of `canary` that [`read`] reads.
pub(super) const FIELDS: [&str; 8] = [
    "maxSurge",
    "maxUnavailable",
    "scaleDownDelaySeconds",
    "abortScaleDownDelaySeconds",
    "scaleDownDelayRevisionLimit",
    "dynamicStableScale",
    "minPodsPerReplicaSet",
    "replicaProgressThreshold",
];

const PODS_MAX: i64 = 10_000;
const SECONDS_MAX: i64 = 10_000_000;
/// Both delays where the manifest is silent.
const USUAL_DELAY: u64 = 30;

/// Reads the numbers and delays of `canary`.
pub(super) fn read(
    canary: &Field<'_>,
    has_router: bool,
    notices: &mut Vec<String>,
) -> Option<Scaling> {
    let max_surge = amount(canary, "maxSurge", notices);
    let max_unavailable = amount(canary, "maxUnavailable", notices);
    both_zero(canary, max_surge, max_unavailable);
    if has_router && canary.optional("maxSurge").is_some() {
        notices.push(no_effect("maxSurge"));
    }
    if !has_router && canary.optional("minPodsPerReplicaSet").is_some() {
        notices.push(format!(
            "{}.minPodsPerReplicaSet has no effect without trafficRouting",
            canary.path()
        ));
    }
    let dynamic = dynamic_stable_scale(canary, has_router);
    let delay = scale_down_delay(canary, has_router);
    let abort = whole(
        canary,
        "abortScaleDownDelaySeconds",
        USUAL_DELAY,
        SECONDS_MAX,
    );
    let abort_is_set = canary.optional("abortScaleDownDelaySeconds").is_some();
    let limit = match canary.optional("scaleDownDelayRevisionLimit") {
        Some(field) => field.integer(0, PODS_MAX).map(Some),
        None => Some(None),
    };
    let min_pods = whole(canary, "minPodsPerReplicaSet", 0, PODS_MAX);
    let threshold = match canary.optional("replicaProgressThreshold") {
        Some(field) => threshold(&field).map(Some),
        None => Some(None),
    };
    let (dynamic, abort) = (dynamic?, abort?);
    // The canary's pods go with its weight there, unless a delay is asked for.
    let delay = if dynamic { 0 } else { delay? };
    let at_once = dynamic && !abort_is_set;
    Some(Scaling {
        max_surge: max_surge?,
        max_unavailable: max_unavailable?,
        scale_down_delay: Duration::from_secs(delay),
        abort_scale_down_delay: Duration::from_secs(if at_once { 0 } else { abort }),
        abort_keeps_canary: abort_is_set && abort == 0,
        scale_down_delay_revision_limit: limit?.and_then(|limit| usize::try_from(limit).ok()),
        dynamic_stable_scale: dynamic,
        min_pods: u32::try_from(min_pods?).ok()?,
        replica_progress_threshold: threshold?,
    })
}

/// The notice about a number of pods where requests, not pods, are divided.
pub(super) fn no_effect(field: &str) -> String {
    format!("spec.strategy.canary.{field} has no effect: traffic is split by request, not by pods")
}

/// A number, or a percentage as text; text without a percent sign is one too, as with Argo
/// Rollouts.
fn amount(canary: &Field<'_>, name: &str, notices: &mut Vec<String>) -> Option<Option<Amount>> {
    let Some(field) = canary.optional(name) else {
        return Some(None);
    };
    let Some(text) = field.value().as_str() else {
        let accepted = "a number of pods or a percentage such as \"25%\"";
        let pods = field.value().as_u64().and_then(|n| u32::try_from(n).ok());
        if pods.is_none_or(|pods| i64::from(pods) > PODS_MAX) {
            field.expected(accepted);
        }
        return pods.map(Amount::Pods).map(Some);
    };
    let digits = text.strip_suffix('%').unwrap_or(text);
    let percent = digits.bytes().all(|b| b.is_ascii_digit());
    let percent = percent.then(|| digits.parse().ok()).flatten();
    let Some(percent) = percent.filter(|percent| i64::from(*percent) <= PODS_MAX) else {
        field.expected("a number of pods or a percentage such as \"25%\"");
        return None;
    };
    if digits == text {
        notices.push(format!(
            "{} is the text {text:?}: that is {percent} %, as with Argo Rollouts",
            field.path()
        ));
    }
    Some(Some(Amount::Percent(percent)))
}

fn both_zero(
    canary: &Field<'_>,
    surge: Option<Option<Amount>>,
    unavailable: Option<Option<Amount>>,
) {
    let zero = |amount: Option<Option<Amount>>| {
        amount.is_some_and(|amount| amount.unwrap_or(Amount::USUAL).is_zero())
    };
    if zero(surge) && zero(unavailable) {
        canary.refuse("maxSurge and maxUnavailable are both zero, expected one of them above it");
    }
}

fn dynamic_stable_scale(canary: &Field<'_>, has_router: bool) -> Option<bool> {
    let dynamic = flag(canary, "dynamicStableScale")?;
    let Some(field) = canary.optional("dynamicStableScale").filter(|_| dynamic) else {
        return Some(false);
    };
    if !has_router {
        field.refuse("needs trafficRouting, expected it to be absent");
    }
    if canary.optional("scaleDownDelaySeconds").is_some() {
        field.refuse("excludes scaleDownDelaySeconds, expected one of them");
    }
    Some(true)
}

/// A delay in seconds; without a router there is none to set.
fn scale_down_delay(canary: &Field<'_>, has_router: bool) -> Option<u64> {
    const NAME: &str = "scaleDownDelaySeconds";
    if let Some(field) = canary.optional(NAME).filter(|_| !has_router) {
        field.refuse("needs trafficRouting, expected it to be absent");
        return None;
    }
    whole(canary, NAME, USUAL_DELAY, SECONDS_MAX)
}

fn threshold(field: &Field<'_>) -> Option<Threshold> {
    field.only(&["type", "value"]);
    let kind = field.required("type", "Percent or Pods");
    let value = field.required("value", "how much is enough");
    let (kind, value) = (kind?, value?);
    let number = |most: i64| value.integer(1, most).and_then(|n| u32::try_from(n).ok());
    match kind.value().as_str() {
        Some("Percent") => number(100).map(Threshold::Percent),
        Some("Pods") => number(PODS_MAX).map(Threshold::Pods),
        _ => {
            kind.expected("Percent or Pods");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(replicas: u32, routed: bool, fields: Value) -> Result<Plan, String> {
        let mut canary = json!({"stableService": "shop", "canaryService": "shop-canary"});
        if routed {
            canary["trafficRouting"] = json!({"plugins": {"serin/wasm": {}}});
        }
        for (name, value) in fields.as_object().unwrap() {
            canary[name] = value.clone();
        }
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
                "strategy": {"canary": canary},
            },
        });
        Plan::parse(&document, "default").map_err(|errors| errors.to_string())
    }

    fn room(replicas: u32, fields: Value) -> (u32, u32) {
        let plan = parse(replicas, false, fields).unwrap();
        (plan.surge(), plan.unavailable())
    }

    #[test]
    fn a_quarter_rounded_up_and_down_is_the_room_that_nobody_asks_for() {
        assert_eq!(room(4, json!({})), (1, 1));
        assert_eq!(room(10, json!({})), (3, 2));
        assert_eq!(room(1, json!({})), (1, 0));
        assert_eq!(room(0, json!({})), (0, 0));
    }

    #[test]
    fn room_is_pods_or_a_percentage() {
        let both = |surge: Value, unavailable: Value| {
            room(
                10,
                json!({"maxSurge": surge, "maxUnavailable": unavailable}),
            )
        };
        assert_eq!(both(json!(3), json!(2)), (3, 2));
        assert_eq!(both(json!("11%"), json!("19%")), (2, 1));
        assert_eq!(both(json!("50"), json!(0)), (5, 0));
        assert_eq!(both(json!(0), json!("1%")), (0, 1), "something must move");
        assert_eq!(both(json!(0), json!(40)), (0, 10), "there are no more");
    }

    #[test]
    fn a_percentage_without_its_sign_is_told() {
        let plan = parse(4, false, json!({"maxSurge": "1"})).unwrap();
        assert_eq!(
            plan.notices,
            ["spec.strategy.canary.maxSurge is the text \"1\": that is 1 %, as with Argo Rollouts"]
        );
    }

    #[test]
    fn enough_is_what_the_threshold_says() {
        let plan = |threshold: Value| {
            parse(10, true, json!({"replicaProgressThreshold": threshold})).unwrap()
        };
        let all = parse(10, true, json!({})).unwrap();
        assert_eq!((all.enough(9, 10), all.enough(10, 10)), (false, true));
        let percent = plan(json!({"type": "Percent", "value": 90}));
        assert_eq!((percent.enough(8, 9), percent.enough(9, 10)), (false, true));
        assert!(percent.enough(0, 0));
        let pods = plan(json!({"type": "Pods", "value": 3}));
        assert_eq!((pods.enough(2, 10), pods.enough(3, 10)), (false, true));
        assert!(pods.enough(1, 1), "there will be no three of one");
    }

    #[test]
    fn an_abort_delay_of_zero_is_not_one_that_nobody_asked_for() {
        let delays = |fields: Value| {
            let plan = parse(4, true, fields).unwrap();
            (
                plan.abort_scale_down_delay.as_secs(),
                plan.abort_keeps_canary,
            )
        };
        assert_eq!(delays(json!({})), (30, false));
        assert_eq!(delays(json!({"abortScaleDownDelaySeconds": 5})), (5, false));
        assert_eq!(delays(json!({"abortScaleDownDelaySeconds": 0})), (0, true));
        assert_eq!(delays(json!({"dynamicStableScale": true})), (0, false));
    }

    #[test]
    fn what_is_wrong_is_refused_by_its_field() {
        for (routed, fields, told) in [
            (
                true,
                json!({"maxSurge": "0%", "maxUnavailable": 0}),
                ": maxSurge and maxUnavailable are both zero, expected one of them above it",
            ),
            (
                false,
                json!({"maxSurge": "a lot"}),
                ".maxSurge: is \"a lot\", expected a number of pods or a percentage such as \"25%\"",
            ),
            (
                false,
                json!({"maxUnavailable": -1}),
                ".maxUnavailable: is -1, expected a number of pods or a percentage such as \"25%\"",
            ),
            (
                false,
                json!({"dynamicStableScale": true}),
                ".dynamicStableScale: needs trafficRouting, expected it to be absent",
            ),
            (
                true,
                json!({"dynamicStableScale": true, "scaleDownDelaySeconds": 5}),
                ".dynamicStableScale: excludes scaleDownDelaySeconds, expected one of them",
            ),
            (
                true,
                json!({"replicaProgressThreshold": {"type": "Pod", "value": 1}}),
                ".replicaProgressThreshold.type: is \"Pod\", expected Percent or Pods",
            ),
            (
                true,
                json!({"replicaProgressThreshold": {"type": "Percent", "value": 0}}),
                ".replicaProgressThreshold.value: is 0, expected a whole number from 1 to 100",
            ),
        ] {
            let refused = parse(4, routed, fields).unwrap_err();
            assert_eq!(refused, format!("spec.strategy.canary{told}"));
        }
    }
}
