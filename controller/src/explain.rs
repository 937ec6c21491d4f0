//! Where a request goes at each step of a release, and why: a plan and a request come in, a line for
//! each step that moves traffic goes out. What decides is the filter's own code.

use std::fmt::Write as _;

use serin_core::field::FieldErrors;
use serin_core::plan::{Plan, Router, Step, WasmRouter, percent};
use serin_core::revision;
use serin_core::route::{Reason, Request, Rule, Table};
use serin_core::step::{CanaryTraffic, Traffic, asked_after};
use serin_core::wire::{
    Canary, FilterConfig, HeaderRoute, Match, Node, Proxy, Role, StickyKey, Subject, Test, VERSION,
};

use crate::mesh;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The host that it names; none: the first of the Rollout's.
    pub host: Option<String>,
    /// Its method.
    pub method: String,
    /// Its path with its query.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Where it goes once a step is behind the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How many steps are behind.
    pub after: usize,
    /// The last of them; empty before the first.
    pub step: String,
    /// `canary`, `stable`, or the share of such requests that the canary gets.
    pub goes_to: String,
    /// Why.
    pub why: String,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The filter does not decide.
    #[error(
        "Rollout {rollout}: spec.strategy.canary.trafficRouting.plugins: serin/wasm is missing, \
         expected it (only the filter's decisions are explained)"
    )]
    NotByFilter {
        /// The Rollout.
        rollout: String,
    },
    /// The host is nobody's.
    #[error("host {host:?} leads to no Rollout, expected one of {known}")]
    NoSuchHost {
        /// The host.
        host: String,
        /// Those that lead to this one.
        known: String,
    },
    /// The filter would not take what the manifest asks for.
    #[error(transparent)]
    Limits(#[from] FieldErrors),
}

/// Says where a request to a Rollout goes: before its first step, and after each that moves traffic.
///
/// # Errors
/// If the filter does not decide, or not about this host.
pub fn explain(plan: &Plan, asked: &Asked) -> Result<Vec<Line>, Refusal> {
    let Router::Wasm(router) = &plan.router else {
        let rollout = format!("{}/{}", plan.namespace, plan.name);
        return Err(Refusal::NotByFilter { rollout });
    };
    let moves = |count: &usize| {
        let last = count.checked_sub(1).and_then(|last| plan.steps.get(last));
        last.is_none_or(|step| {
            matches!(
                step,
                Step::SetWeight(_) | Step::AddHeaderRoute(_) | Step::RemoveHeaderRoute(_)
            )
        })
    };
    let counts = (0..=plan.steps.len()).filter(moves);
    counts
        .map(|count| line(plan, router, asked, count))
        .collect()
}

fn line(plan: &Plan, router: &WasmRouter, asked: &Asked, count: usize) -> Result<Line, Refusal> {
    let config = config(plan, router, count);
    config.validate()?;
    let config = config.at(&Node::default());
    let canary = config.rules.first().and_then(|rule| rule.canary.as_ref());
    let table = Table::compile(&config)?;
    let hosts = config.rules.iter().flat_map(|rule| &rule.hosts);
    let hosts: Vec<&str> = hosts.map(String::as_str).collect();
    let host = asked.host.as_deref().or(hosts.first().copied());
    let host = host.unwrap_or_default();
    let Some((_, rule)) = table.find(host.as_bytes()) else {
        return Err(Refusal::NoSuchHost {
            host: host.to_string(),
            known: hosts.join(", "),
        });
    };
    let (goes_to, why) = decide(rule, canary, asked, host);
    let step = count.checked_sub(1).and_then(|last| plan.steps.get(last));
    Ok(Line {
        after: count,
        step: step.map(ToString::to_string).unwrap_or_default(),
        goes_to,
        why,
    })
}

/// What a gateway's filter is told after so many steps.
fn config(plan: &Plan, router: &WasmRouter, count: usize) -> FilterConfig {
    let (weight_bp, routes) = asked_after(plan, count);
    let traffic = Traffic {
        stable: "stable".to_string(),
        canary: Some(CanaryTraffic {
            revision: revision::hash(&plan.template),
            weight_bp,
            routes,
            mirrors: Vec::new(),
        }),
    };
    FilterConfig {
        version: VERSION,
        generation: 1,
        name: "gateway".to_string(),
        role: Role::Source,
        proxy: Proxy {
            workload: "gateway".to_string(),
            namespace: plan.namespace.clone(),
            pod: None,
        },
        pods: Vec::new(),
        after_another: false,
        istio_metrics: false,
        rules: vec![mesh::rule_of(plan, router, &traffic)],
    }
}

/// Where it goes, and why.
fn decide(rule: &Rule, canary: Option<&Canary>, asked: &Asked, host: &str) -> (String, String) {
    let own = [
        (":authority", host),
        (":method", &*asked.method),
        (":path", &*asked.path),
    ];
    let headers = asked.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
    let headers = own.into_iter().chain(headers);
    let headers: Vec<(&[u8], &[u8])> = headers
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    let request = Request::read(headers.iter().copied());
    let reason = rule.decide(&request, headers.iter().copied(), || 0);
    let share = canary.map_or(0, |canary| canary.weight_bp);
    let sticky = canary.map_or(&[][..], |canary| &canary.sticky);
    let goes_to = match reason {
        Reason::Drawn { .. } => format!("canary {} %", percent(share)),
        reason => reason.variant().as_str().to_string(),
    };
    let why = match reason {
        Reason::NoCanary => "no release is in flight".to_string(),
        Reason::Route(alternative) => {
            let routes = canary.map_or(&[][..], |canary| &canary.routes);
            route(routes, alternative)
        }
        Reason::NoShare => "no managed route takes it, and the canary has no weight".to_string(),
        Reason::Sticky { key, bucket, .. } => {
            let key = sticky.get(key).map(key_text).unwrap_or_default();
            let (bucket, share) = (percent(bucket), percent(share));
            format!("{key} is at {bucket} % of the users, the canary has those below {share} %")
        }
        Reason::Drawn { .. } if sticky.is_empty() => {
            "nobody is kept to a version (there is no sticky key), each request is drawn"
                .to_string()
        }
        Reason::Drawn { .. } => {
            let keys: Vec<String> = sticky.iter().map(key_text).collect();
            format!("it has no {}, so it is drawn", keys.join(" and no "))
        }
    };
    (goes_to, why)
}

/// The managed route that this alternative is of, with its conditions.
fn route(routes: &[HeaderRoute], alternative: usize) -> String {
    let mut all = routes.iter().flat_map(|route| {
        let any = route.any.iter();
        any.map(|all_of| (&route.name, &all_of.all))
    });
    let Some((name, conditions)) = all.nth(alternative) else {
        return String::new();
    };
    let conditions: Vec<String> = conditions.iter().map(condition).collect();
    format!(
        "managed route {name:?} takes it: {}",
        conditions.join(" and ")
    )
}

fn condition(condition: &Match) -> String {
    let mut text = match &condition.on {
        Subject::Header(name) => format!("header {name}"),
        Subject::Cookie(name) => format!("cookie {name}"),
        Subject::Path => "path".to_string(),
        Subject::Method => "method".to_string(),
        Subject::Query(name) => format!("query {name}"),
    };
    if condition.not {
        text.push_str(" not");
    }
    let (test, value) = match &condition.is {
        Test::Exact(value) => ("exact", Some(value)),
        Test::Prefix(value) => ("prefix", Some(value)),
        Test::Suffix(value) => ("suffix", Some(value)),
        Test::Regex(value) => ("regex", Some(value)),
        Test::Present => ("present", None),
    };
    text.push(' ');
    text.push_str(test);
    if let Some(value) = value {
        // Writing to a text does not fail.
        let _ = write!(text, " {value:?}");
    }
    text
}

fn key_text(key: &StickyKey) -> String {
    match key {
        StickyKey::Header(name) => format!("header {name}"),
        StickyKey::Cookie(name) => format!("cookie {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn plan(plugins: &Value) -> Plan {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "checkout", "namespace": "shop"},
            "spec": {
                "selector": {"matchLabels": {"app": "checkout"}},
                "template": {"metadata": {"labels": {"app": "checkout"}},
                    "spec": {"containers": [{"name": "app", "image": "app:2"}]}},
                "strategy": {"canary": {
                    "stableService": "checkout", "canaryService": "checkout-canary",
                    "trafficRouting": {"managedRoutes": [{"name": "beta"}], "plugins": plugins},
                    "steps": [
                        {"setHeaderRoute": {"name": "beta", "match": [
                            {"headerName": "X-Beta", "headerValue": {"exact": "yes"}},
                            {"headerName": "X-Team", "headerValue": {"prefix": "web"}}]}},
                        {"pause": {}}, {"setWeight": 20}, {"setHeaderRoute": {"name": "beta"}},
                        {"setWeight": 60},
                    ],
                }},
            },
        });
        Plan::parse(&rollout, "default").expect("a plan")
    }

    fn asked(headers: &[(&str, &str)]) -> Asked {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_string()));
        Asked {
            host: None,
            method: "GET".into(),
            path: "/pay?x=1".into(),
            headers: headers.collect(),
        }
    }

    fn lines(plugins: &Value, headers: &[(&str, &str)]) -> Vec<(usize, String, String)> {
        let lines = explain(&plan(plugins), &asked(headers)).expect("an explanation");
        let lines = lines.into_iter();
        lines
            .map(|line| (line.after, line.goes_to, line.why))
            .collect()
    }

    #[test]
    fn each_step_that_moves_traffic_is_told() {
        let wasm = json!({"serin/wasm": {"sticky": [{"header": "x-user"}]}});
        let told = lines(&wasm, &[("x-team", "web-1"), ("x-user", "alice")]);
        let afters: Vec<usize> = told.iter().map(|(after, ..)| *after).collect();
        assert_eq!(afters, [0, 1, 3, 4, 5]);
        let (_, goes_to, why) = &told[0];
        assert_eq!(goes_to, "stable");
        assert_eq!(
            why,
            "no managed route takes it, and the canary has no weight"
        );
        for (_, goes_to, why) in &told[1..3] {
            assert_eq!(goes_to, "canary");
            assert_eq!(
                why,
                "managed route \"beta\" takes it: header x-team prefix \"web\""
            );
        }
        for ((_, goes_to, why), share) in told[3..].iter().zip([20, 60]) {
            let place = why.strip_prefix("header x-user is at ").expect(why);
            let (place, rest) = place.split_once(" % of the users, ").expect(why);
            assert_eq!(rest, format!("the canary has those below {share} %"));
            let place: f64 = place.parse().expect("a number");
            let is_in = place < f64::from(share);
            assert_eq!(goes_to, if is_in { "canary" } else { "stable" });
        }
    }

    #[test]
    fn who_cannot_be_told_apart_is_drawn() {
        let wasm = json!({"serin/wasm": {"sticky": [{"header": "x-user"}, {"cookie": "s"}]}});
        let told = lines(&wasm, &[]);
        assert_eq!(told[4].1, "canary 60 %");
        assert_eq!(
            told[4].2,
            "it has no header x-user and no cookie s, so it is drawn"
        );
    }

    #[test]
    fn what_the_filter_does_not_decide_is_refused() {
        let plan = plan(&json!({"serin/wasm": {"hosts": ["shop.example.com"]}}));
        let at = |host: &str| Asked {
            host: Some(host.into()),
            ..asked(&[])
        };
        for host in ["shop.example.com:8080", "CHECKOUT.shop", "checkout"] {
            explain(&plan, &at(host)).expect(host);
        }
        assert_eq!(
            explain(&plan, &at("other"))
                .expect_err("nobody's")
                .to_string(),
            "host \"other\" leads to no Rollout, expected one of checkout, checkout.shop, \
             checkout.shop.svc, checkout.shop.svc.cluster.local, shop.example.com"
        );
    }
}
