//! `spec.selector`: which pods belong to a Rollout.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::field::Field;

/// Which pods belong to a Rollout: those that fulfil all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// `matchLabels`.
    pub labels: BTreeMap<String, String>,
    /// `matchExpressions`.
    pub expressions: Vec<Expression>,
}

/// One of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// The label.
    pub key: String,
    /// What of it.
    pub is: Requirement,
}

/// What an expression asks of its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// To be one of these.
    In(Vec<String>),
    /// To be none of these, or absent.
    NotIn(Vec<String>),
    /// To be there.
    Exists,
    /// To be absent.
    DoesNotExist,
}

impl Selector {
    /// Whether it selects pods with these labels.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let equal = self
            .labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        equal && self.expressions.iter().all(|one| one.matches(labels))
    }
}

impl Expression {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let label = labels.get(&self.key);
        match &self.is {
            Requirement::In(values) => label.is_some_and(|label| values.contains(label)),
            Requirement::NotIn(values) => label.is_none_or(|label| !values.contains(label)),
            Requirement::Exists => label.is_some(),
            Requirement::DoesNotExist => label.is_none(),
        }
    }
}

/// Reads a selector, which must select pods of the template, as the API server demands of every
/// workload.
pub(super) fn read(selector: &Field<'_>, template: &Value) -> Option<Selector> {
    selector.only(&["matchLabels", "matchExpressions"]);
    let carried = carried(template);
    let labels = selector.optional("matchLabels");
    let expressions = selector.optional("matchExpressions");
    let labels = labels.map_or(Some(BTreeMap::new()), |field| {
        match_labels(&field, &carried)
    });
    let expressions = expressions.map_or(Some(Vec::new()), |field| {
        let read: Vec<_> = field
            .list()
            .iter()
            .map(|one| expression(one, &carried))
            .collect();
        read.into_iter().collect()
    });
    let read = Selector {
        labels: labels?,
        expressions: expressions?,
    };
    if read == Selector::default() {
        selector.expected("at least one label of the template in matchLabels");
    }
    Some(read)
}

/// The labels that the template gives to its pods.
pub(super) fn carried(template: &Value) -> BTreeMap<String, String> {
    let labels = template
        .pointer("/metadata/labels")
        .and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    labels
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string())))
        .collect()
}

fn match_labels(
    labels: &Field<'_>,
    carried: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    let entries = labels.object()?.iter().map(|(key, value)| {
        let text = labels.required(key, "a string")?.string()?;
        if carried.get(key).map(String::as_str) != Some(text) {
            labels.refuse(format_args!(
                "has {key}: {value}, expected a label that spec.template.metadata.labels carries"
            ));
        }
        Some((key.clone(), text.to_string()))
    });
    let entries: Vec<_> = entries.collect();
    entries.into_iter().collect()
}

fn expression(field: &Field<'_>, carried: &BTreeMap<String, String>) -> Option<Expression> {
    field.only(&["key", "operator", "values"]);
    let key = field
        .required("key", "a label's name")
        .and_then(|key| key.name().map(str::to_string));
    let operator = field.required("operator", OPERATORS)?;
    let values = field
        .optional("values")
        .map(|values| (values.names(), values));
    let is = match (operator.value().as_str(), values) {
        (Some("In"), Some((values, _))) => Requirement::In(values?),
        (Some("NotIn"), Some((values, _))) => Requirement::NotIn(values?),
        (Some("In" | "NotIn"), None) => {
            field.required("values", "at least one value");
            return None;
        }
        (Some("Exists"), None) => Requirement::Exists,
        (Some("DoesNotExist"), None) => Requirement::DoesNotExist,
        (Some("Exists" | "DoesNotExist"), Some((_, values))) => {
            values.expected("it to be absent");
            return None;
        }
        _ => {
            operator.expected(OPERATORS);
            return None;
        }
    };
    if let Requirement::In(values) | Requirement::NotIn(values) = &is
        && values.is_empty()
    {
        field.refuse("values is empty, expected at least one value");
    }
    let read = Expression { key: key?, is };
    if !read.matches(carried) {
        field.expected("a condition that spec.template.metadata.labels fulfil");
    }
    Some(read)
}

const OPERATORS: &str = "In, NotIn, Exists or DoesNotExist";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Plan;
    use super::*;

    fn parse(selector: Value) -> Result<Selector, String> {
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "selector": selector,
                "template": {"metadata": {"labels": {"app": "shop", "tier": "web"}}, "spec": {}},
                "strategy": {"canary": {}},
            },
        });
        match Plan::parse(&document, "default") {
            Ok(plan) => Ok(plan.selector),
            Err(errors) => Err(errors.to_string()),
        }
    }

    #[test]
    fn expressions_select_as_labels_do() {
        let selector = parse(json!({
            "matchLabels": {"app": "shop"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["web", "api"]},
                {"key": "tier", "operator": "NotIn", "values": ["batch"]},
                {"key": "app", "operator": "Exists"},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        }));
        let selector = selector.unwrap();
        let labels = |tier: &str, more: &[&str]| {
            let own = [("app", "shop"), ("tier", tier)];
            let more = more.iter().map(|key| (*key, ""));
            let all = own.into_iter().chain(more);
            all.map(|(key, value)| (key.to_string(), value.to_string()))
                .collect()
        };
        assert!(selector.matches(&labels("api", &[])));
        assert!(!selector.matches(&labels("batch", &[])));
        assert!(!selector.matches(&labels("api", &["old"])));
        assert!(!selector.matches(&BTreeMap::new()));
    }

    #[test]
    fn what_selects_none_of_the_templates_pods_is_refused() {
        for (selector, told) in [
            (
                json!({}),
                ": is {}, expected at least one label of the template in matchLabels",
            ),
            (
                json!({"matchLabels": {"app": "shed"}}),
                ".matchLabels: has app: \"shed\", expected a label that \
                 spec.template.metadata.labels carries",
            ),
            (
                json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}),
                ".matchExpressions[0]: is {\"key\":\"app\",\"operator\":\"DoesNotExist\"}, expected \
                 a condition that spec.template.metadata.labels fulfil",
            ),
            (
                json!({"matchExpressions": [{"key": "app", "operator": "in", "values": ["shop"]}]}),
                ".matchExpressions[0].operator: is \"in\", expected In, NotIn, Exists or \
                 DoesNotExist",
            ),
            (
                json!({"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["a"]}]}),
                ".matchExpressions[0].values: is [\"a\"], expected it to be absent",
            ),
            (
                json!({"matchExpressions": [{"key": "app", "operator": "In"}]}),
                ".matchExpressions[0].values: is missing, expected at least one value",
            ),
        ] {
            assert_eq!(parse(selector).unwrap_err(), format!("spec.selector{told}"));
        }
    }
}
