//! The destinations of one route and their weights.

use serde_json::{Value, json};

use super::select::At;
use super::{Refusal, Split};

/// How destinations are told apart, and what each version is to get.
pub(super) struct Versions<'a> {
    split: Split<'a>,
    /// The canary's weight, in units of `max_weight`.
    canary: u64,
}

/// Whose a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Canary,
    Stable,
    /// Of a subset whose weight is somebody else's.
    Others,
    /// Nobody's.
    Foreign,
}

impl<'a> Versions<'a> {
    pub(super) fn of(split: &Split<'a>) -> Versions<'a> {
        let canary = split.traffic.canary.as_ref();
        let weight = canary.map_or(0, |canary| u64::from(canary.weight_bp));
        Versions {
            split: *split,
            canary: weight * u64::from(split.max_weight) / 10_000,
        }
    }

    /// Gives the destinations of a route their weights. A destination of nobody's gets none: with
    /// it the weights would not be those asked for.
    pub(super) fn weigh(&self, route: &mut Value, service: &str, at: &At) -> Result<(), Refusal> {
        let name = route_name(route, at);
        let destinations = route["route"].as_array_mut();
        let destinations = destinations.map(Vec::as_mut_slice).unwrap_or_default();
        for (whose, version) in [(Whose::Canary, "canary"), (Whose::Stable, "stable")] {
            if !destinations.iter().any(|one| self.whose(one) == whose) {
                return Err(Refusal::NoDestination {
                    service: service.to_string(),
                    route: name,
                    version,
                    accepted: self.accepted(whose),
                });
            }
        }
        let others = destinations
            .iter()
            .filter(|one| self.whose(one) == Whose::Others);
        let others: u64 = others.filter_map(weight_of).sum();
        let all = u64::from(self.split.max_weight);
        let stable = all.saturating_sub(self.canary).saturating_sub(others);
        for destination in destinations {
            let weight = match self.whose(destination) {
                Whose::Canary => self.canary,
                Whose::Stable => stable,
                Whose::Others => continue,
                Whose::Foreign => 0,
            };
            if weight_of(destination).unwrap_or(0) != weight {
                destination["weight"] = json!(weight);
            }
        }
        Ok(())
    }

    /// The canary's weight in a route.
    pub(super) fn weight(&self, route: &Value) -> Option<u64> {
        let destinations = route["route"].as_array()?;
        let mut canaries = destinations
            .iter()
            .filter(|one| self.whose(one) == Whose::Canary);
        canaries.next().map(|one| weight_of(one).unwrap_or(0))
    }

    /// The canary's destination in a route.
    pub(super) fn canary_of(&self, route: &Value) -> Option<Value> {
        let destinations = route["route"].as_array()?;
        let mut canaries = destinations
            .iter()
            .filter(|one| self.whose(one) == Whose::Canary);
        Some(canaries.next()?["destination"].clone())
    }

    /// Subsets where there is a rule, hosts where there is none.
    fn whose(&self, destination: &Value) -> Whose {
        let destination = &destination["destination"];
        let host = destination["host"].as_str().unwrap_or_default();
        let host = host.split('.').next();
        let subset = destination["subset"].as_str();
        let Some(rule) = self.split.rule else {
            return match host {
                host if host.is_some() && host == self.split.canary_service => Whose::Canary,
                host if host.is_some() && host == self.split.stable_service => Whose::Stable,
                _ => Whose::Foreign,
            };
        };
        match subset {
            Some(subset) if subset == rule.canary_subset => Whose::Canary,
            Some(subset) if subset == rule.stable_subset => Whose::Stable,
            Some(subset) if rule.additional_subsets.iter().any(|one| one == subset) => {
                Whose::Others
            }
            _ => Whose::Foreign,
        }
    }

    fn accepted(&self, whose: Whose) -> String {
        let (subset, host) = match whose {
            Whose::Canary => (
                self.split.rule.map(|rule| &rule.canary_subset),
                self.split.canary_service,
            ),
            _ => (
                self.split.rule.map(|rule| &rule.stable_subset),
                self.split.stable_service,
            ),
        };
        match (subset, host) {
            (Some(subset), _) => format!("one with subset {subset:?}"),
            (None, Some(host)) => format!("one with host {host:?}"),
            (None, None) => "a Service or a subset for each version".to_string(),
        }
    }
}

fn weight_of(destination: &Value) -> Option<u64> {
    let weight = &destination["weight"];
    // Others may have written it with a fraction of zero.
    weight
        .as_u64()
        .or_else(|| weight.as_f64().map(|weight| weight as u64))
}

fn route_name(route: &Value, at: &At) -> String {
    match route["name"].as_str() {
        Some(name) => format!("{} route {name:?}", at.protocol),
        None => format!("a route spec.{}[{}]", at.protocol, at.index),
    }
}
