//! Services that a Rollout names and that are not among the files.

use serin_core::plan::Plan;

use super::Finding;
use super::files::Files;

pub(super) fn check(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (rollout, plan) in files.plans() {
        for (field, service) in named(plan) {
            if files.find("Service", &plan.namespace, service).is_none() {
                findings.push(rollout.warning(format_args!(
                    "spec.strategy.canary.{field}: Service {service:?} is not among these files, \
                     expected it in namespace {:?} before the Rollout (one that is missing is \
                     refused, and nothing is released)",
                    plan.namespace
                )));
            }
        }
    }
    findings
}

fn named(plan: &Plan) -> impl Iterator<Item = (&'static str, &String)> {
    let ping_pong = plan.ping_pong.as_ref();
    let named = [
        ("stableService", plan.stable_service.as_ref()),
        ("canaryService", plan.canary_service.as_ref()),
        ("pingPong.pingService", ping_pong.map(|both| &both.ping)),
        ("pingPong.pongService", ping_pong.map(|both| &both.pong)),
    ];
    let named = named.into_iter();
    named.filter_map(|(field, service)| Some((field, service?)))
}

#[cfg(test)]
mod tests {
    use super::super::{filtered, shop, told};

    #[test]
    fn a_service_that_is_elsewhere_is_told() {
        let without = shop(&filtered()).replace("\"name\":\"shop-canary\"", "\"name\":\"other\"");
        let found = told(&without);
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        let told = "warning: all.yaml document 1: Rollout web/shop: \
                    spec.strategy.canary.canaryService: Service \"shop-canary\" is not among";
        assert!(only.starts_with(told), "{only}");
    }
}
