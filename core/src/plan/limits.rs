//! What the filter would refuse is refused while the manifest is read, by the filter's own
//! validation.

use super::{Plan, Router, Step};
use crate::field::{FieldError, FieldErrors};
use crate::step::routes_after;
use crate::wire::{
    Canary, FilterConfig, HeaderRoute, MAX_ROUTES, Proxy, Role, Rule, StickyKey, VERSION,
};

/// Refuses a plan with anything in it that is beyond the filter's limits.
pub(super) fn check(plan: Plan) -> Result<Plan, FieldErrors> {
    let canary = "spec.strategy.canary";
    let mut errors = Vec::new();
    if let Router::Wasm(wasm) = &plan.router {
        let at = format!("{canary}.trafficRouting.plugins[serin/wasm]");
        refused(&at, &wasm.hosts, &wasm.sticky, &[], &mut errors);
    }
    for (i, step) in plan.steps.iter().enumerate() {
        let Step::AddHeaderRoute(route) = step else {
            continue;
        };
        let at = format!("{canary}.steps[{i}].setHeaderRoute");
        let known = errors.len();
        refused(&at, &[], &[], std::slice::from_ref(route), &mut errors);
        if errors.len() == known {
            // Good by itself, and perhaps one too many of those in force together.
            let begun = plan.steps.get(..=i).unwrap_or_default();
            let all = routes_after(begun, &plan.managed_routes);
            refused(&at, &[], &[], &all, &mut errors);
        }
    }
    if plan.managed_routes.len() > MAX_ROUTES {
        errors.push(FieldError {
            path: format!("{canary}.trafficRouting.managedRoutes"),
            message: format!(
                "has {} names with those of the steps, expected at most {MAX_ROUTES}",
                plan.managed_routes.len()
            ),
        });
    }
    if errors.is_empty() {
        Ok(plan)
    } else {
        Err(FieldErrors(errors))
    }
}

/// Adds what the filter would refuse of a rule with these parts, told as parts of the field `at`.
fn refused(
    at: &str,
    hosts: &[String],
    sticky: &[StickyKey],
    routes: &[HeaderRoute],
    errors: &mut Vec<FieldError>,
) {
    const CANARY: &str = "rules[0].canary.";
    let named = |text: &str| text.to_string();
    let rule = Rule {
        rollout: named("rollout"),
        namespace: named("namespace"),
        service: named("service"),
        hosts: if hosts.is_empty() {
            vec![named("host")]
        } else {
            hosts.to_vec()
        },
        stable: named("stable"),
        canary: Some(Canary {
            revision: named("canary"),
            weight_bp: 0,
            salt: String::new(),
            sticky: sticky.to_vec(),
            routes: routes.to_vec(),
        }),
    };
    let config = FilterConfig {
        version: VERSION,
        generation: 0,
        name: named("plan"),
        role: Role::Source,
        proxy: Proxy {
            workload: named("plan"),
            namespace: named("plan"),
            pod: None,
        },
        istio_metrics: false,
        rules: vec![rule],
    };
    let Err(FieldErrors(found)) = config.validate() else {
        return;
    };
    errors.extend(found.into_iter().map(|error| {
        let part = error
            .path
            .strip_prefix(CANARY)
            .or(error.path.strip_prefix("rules[0]."));
        let part = part.unwrap_or(&error.path).trim_start_matches("routes[0].");
        FieldError {
            path: format!("{at}.{part}"),
            message: error.message,
        }
    }));
}
