//! What the filter would refuse is refused while the manifest is read, by the filter's own
//! validation.

use super::{Plan, Router, Step};
use crate::field::{FieldError, FieldErrors};
use crate::step::routes_after;
use crate::wire::{
    Canary, FilterConfig, HeaderRoute, MAX_ROUTES, Match, Proxy, Role, Rule, StickyKey, Test,
    VERSION,
};

/// Refuses a plan with anything in it that is beyond the filter's limits, if the filter is to carry
/// it out.
pub(super) fn check(plan: Plan) -> Result<Plan, FieldErrors> {
    let Router::Wasm(wasm) = &plan.router else {
        return Ok(plan);
    };
    let canary = "spec.strategy.canary";
    let mut errors = Vec::new();
    let at = format!("{canary}.trafficRouting.plugins[serin/wasm]");
    refused(&at, &wasm.hosts, &wasm.sticky, &[], &mut errors);
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

/// Refuses Rollouts with the filter that are each within its limits and beyond them together, whatever
/// step each of them is at: a proxy that refuses a configuration goes on with the one before, for
/// all of them.
///
/// # Errors
/// The limits that are passed.
pub fn check_together<'p>(
    plans: impl Iterator<Item = &'p Plan> + Clone,
) -> Result<(), FieldErrors> {
    let bytes = |routes: &[HeaderRoute]| serde_json::to_string(routes).map_or(0, |text| text.len());
    let conditions = |routes: &[HeaderRoute]| all_conditions(routes).count();
    let regexes = |routes: &[HeaderRoute]| {
        let regex = |condition: &&Match| matches!(condition.is, Test::Regex(_));
        all_conditions(routes).filter(regex).count()
    };
    let sizes: [&Size; 3] = [&bytes, &conditions, &regexes];
    for size in sizes {
        let rules = plans.clone().enumerate().filter_map(|(i, plan)| {
            let Router::Wasm(wasm) = &plan.router else {
                return None;
            };
            let nobody = [format!("rollout-{i}.invalid")]; // a name that nobody's host can have
            let hosts = match &wasm.hosts[..] {
                [] => &nobody[..],
                some => some,
            };
            Some(rule(hosts, &wasm.sticky, &largest_routes(plan, size)))
        });
        config(rules.collect()).to_json()?;
    }
    Ok(())
}

/// What of a set of routes is limited.
type Size = dyn Fn(&[HeaderRoute]) -> usize;

fn all_conditions(routes: &[HeaderRoute]) -> impl Iterator<Item = &Match> {
    routes
        .iter()
        .flat_map(|route| &route.any)
        .flat_map(|alternative| &alternative.all)
}

/// The largest set of routes that a step of this plan leaves in force.
fn largest_routes(plan: &Plan, size: &Size) -> Vec<HeaderRoute> {
    let begun = (0..plan.steps.len()).filter_map(|i| plan.steps.get(..=i));
    let sets = begun.map(|steps| routes_after(steps, &plan.managed_routes));
    sets.max_by_key(|routes| size(routes)).unwrap_or_default()
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
    let hosts = match hosts {
        [] => &["host".to_string()],
        some => some,
    };
    let Err(FieldErrors(found)) = config(vec![rule(hosts, sticky, routes)]).to_json() else {
        return;
    };
    errors.extend(found.into_iter().map(|error| {
        let part = error
            .path
            .strip_prefix(CANARY)
            .or(error.path.strip_prefix("rules[0]."));
        let part = part.unwrap_or(&error.path).trim_start_matches("routes[0].");
        let path = match part {
            "config" => at.to_string(), // the document as a whole
            part => format!("{at}.{part}"),
        };
        FieldError {
            path,
            message: error.message,
        }
    }));
}

fn rule(hosts: &[String], sticky: &[StickyKey], routes: &[HeaderRoute]) -> Rule {
    let named = |text: &str| text.to_string();
    Rule {
        rollout: named("rollout"),
        namespace: named("namespace"),
        service: named("service"),
        hosts: hosts.to_vec(),
        names: Vec::new(),
        stable: named("stable"),
        canary: Some(Canary {
            revision: named("canary"),
            weight_bp: 0,
            salt: String::new(),
            sticky: sticky.to_vec(),
            routes: routes.to_vec(),
        }),
    }
}

fn config(rules: Vec<Rule>) -> FilterConfig {
    let named = |text: &str| text.to_string();
    FilterConfig {
        version: VERSION,
        generation: 0,
        name: named("plan"),
        role: Role::Source,
        pods: Vec::new(),
        proxy: Proxy {
            workload: named("plan"),
            namespace: named("plan"),
            pod: None,
        },
        after_another: false,
        istio_metrics: false,
        rules,
    }
}
