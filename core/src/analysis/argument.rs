//! Arguments: where they come from, and how they get into a metric.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::wanted::{secret_entry, secret_name};
use crate::field::Field;

/// What arguments may refer to.
#[derive(Clone, Copy, Debug)]
pub struct ArgContext<'a> {
    /// The canary's template hash.
    pub latest_hash: &'a str,
    /// The stable template hash.
    pub stable_hash: &'a str,
    /// The Rollout as JSON.
    pub rollout: &'a Value,
}

/// An argument as a template declares it or a Rollout gives it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Argument {
    /// What metrics call it.
    pub(super) name: String,
    /// Where its value comes from; none: a template leaves it to the Rollout.
    pub(super) source: Option<Source>,
}

/// Where an argument's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// The text itself.
    Value(String),
    /// The canary's template hash.
    LatestHash,
    /// The stable template hash.
    StableHash,
    /// A field of the Rollout.
    Field(String),
    /// A Secret in the run's namespace, read at each measurement.
    Secret(SecretKey),
}

/// The value of a run's argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ArgValue {
    /// This text.
    Text(String),
    /// Read from a Secret in the run's namespace at each measurement, and never written anywhere.
    Secret(SecretKey),
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretKey {
    /// The Secret.
    pub name: String,
    /// The key.
    pub key: String,
}

const SOURCES_OF_TEMPLATE: [&str; 2] = ["secretKeyRef", "fieldRef"];
const SOURCES_OF_ROLLOUT: [&str; 2] = ["podTemplateHashValue", "fieldRef"];

/// `spec.args` of a template.
pub(super) fn template_arguments(field: &Field<'_>) -> Vec<Argument> {
    arguments(field, &SOURCES_OF_TEMPLATE)
}

/// `analysis.args` of a Rollout.
pub(super) fn rollout_arguments(field: &Field<'_>) -> Vec<Argument> {
    arguments(field, &SOURCES_OF_ROLLOUT)
}

fn arguments(field: &Field<'_>, sources: &[&str]) -> Vec<Argument> {
    let read = |each: Field<'_>| {
        each.only(&["name", "value", "valueFrom"]);
        let from = each.optional("valueFrom");
        let source = match (each.optional("value"), &from) {
            (Some(_), Some(from)) => {
                from.refuse("stands beside value, expected one of them");
                None
            }
            (Some(value), None) => value.string().map(|text| Source::Value(text.to_string())),
            (None, Some(from)) => source(from, sources),
            (None, None) => None,
        };
        Some(Argument {
            name: each.required("name", "a name")?.name()?.to_string(),
            source,
        })
    };
    field.list().into_iter().filter_map(read).collect()
}

fn source(from: &Field<'_>, sources: &[&str]) -> Option<Source> {
    from.only(sources);
    if let Some(hash) = from.optional("podTemplateHashValue") {
        return match hash.value().as_str() {
            Some("Latest") => Some(Source::LatestHash),
            Some("Stable") => Some(Source::StableHash),
            _ => {
                hash.expected("Latest or Stable");
                None
            }
        };
    }
    if let Some(reference) = from.optional("fieldRef") {
        reference.only(&["fieldPath"]);
        let path = reference.required("fieldPath", "a field of the Rollout")?;
        return path.name().map(|path| Source::Field(path.to_string()));
    }
    if let Some(secret) = from.optional("secretKeyRef") {
        return secret_key(&secret).map(Source::Secret);
    }
    from.expected(sources.join(" or "));
    None
}

fn secret_key(secret: &Field<'_>) -> Option<SecretKey> {
    secret.only(&["name", "key"]);
    let name = secret.required("name", "a Secret's name")?;
    let name = secret_name(&name)?;
    let key = secret.required("key", "a key of the Secret")?;
    let key = secret_entry(&key)?;
    Some(SecretKey {
        name: name.to_string(),
        key: key.to_string(),
    })
}

/// `spec.args` of a run, none of which is open any more. Argo Rollouts leaves a template's Secret
/// beside the value that a Rollout gives, and takes the Secret.
pub(super) fn run_arguments(field: &Field<'_>) -> Vec<(String, ArgValue)> {
    let read = |each: Field<'_>| {
        each.only(&["name", "value", "valueFrom"]);
        let name = each.required("name", "a name")?.name()?.to_string();
        if let Some(from) = each.optional("valueFrom") {
            from.only(&["secretKeyRef"]);
            let secret = from.required("secretKeyRef", "a key of a Secret")?;
            return Some((name, ArgValue::Secret(secret_key(&secret)?)));
        }
        let value = each.required("value", "a value")?;
        Some((name, ArgValue::Text(value.string()?.to_string())))
    };
    field.list().into_iter().filter_map(read).collect()
}

impl Source {
    /// The value, or why there is none.
    pub(super) fn value(&self, context: ArgContext<'_>) -> Result<ArgValue, String> {
        let text = match self {
            Source::Value(text) => text.clone(),
            Source::LatestHash => context.latest_hash.to_string(),
            Source::StableHash => context.stable_hash.to_string(),
            Source::Field(path) => field_value(context.rollout, path)?,
            Source::Secret(key) => return Ok(ArgValue::Secret(key.clone())),
        };
        Ok(ArgValue::Text(text))
    }
}

/// The value at `path` in the Rollout: a downward-API path such as `metadata.labels['app']`, or
/// names and `[index]` joined by dots.
fn field_value(rollout: &Value, path: &str) -> Result<String, String> {
    let steps = path_steps(path).ok_or_else(|| format!("fieldPath {path:?} cannot be read"))?;
    if let ["metadata", name @ ("labels" | "annotations"), of @ ..] = &*steps {
        return of_metadata(&rollout["metadata"][*name], of).ok_or_else(|| {
            format!("fieldPath {path:?} cannot be read, expected metadata.{name}['key']")
        });
    }
    let mut found = rollout;
    for step in &steps {
        let next = match found {
            Value::Object(object) => object.get(*step),
            Value::Array(list) => step.parse::<usize>().ok().and_then(|index| list.get(index)),
            _ => None,
        };
        found = next.ok_or_else(|| format!("fieldPath {path:?}: the Rollout has no {step}"))?;
    }
    match found {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(format!(
            "fieldPath {path:?} is no text, number or truth value"
        )),
    }
}

/// What the downward API says of labels or annotations: one that is not there is empty, and all of
/// them are a line each.
fn of_metadata(all: &Value, of: &[&str]) -> Option<String> {
    let all = all.as_object();
    match of {
        [] => {
            let lines = all.into_iter().flatten();
            let lines = lines.map(|(key, value)| format!("{key}={value}"));
            Some(lines.collect::<Vec<_>>().join("\n"))
        }
        [key] => {
            let value = all.and_then(|all| all.get(*key)).and_then(Value::as_str);
            Some(value.unwrap_or_default().to_string())
        }
        _ => None,
    }
}

/// `a.b[0].c['d.e']` as `a`, `b`, `0`, `c`, `d.e`.
fn path_steps(path: &str) -> Option<Vec<&str>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(bracket) = rest.strip_prefix('[') {
            let quote = bracket.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let (step, tail) = match quote {
                Some(quote) => {
                    let (step, tail) = bracket.get(1..)?.split_once(quote)?;
                    (step, tail.strip_prefix(']')?)
                }
                None => bracket.split_once(']')?,
            };
            steps.push(step);
            rest = tail;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (step, tail) = rest.split_at_checked(end)?;
            steps.push(step);
            rest = tail;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    (!steps.is_empty() && steps.iter().all(|step| !step.is_empty())).then_some(steps)
}

/// What stands for the argument of a name; none: there is no such argument.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<Result<String, String>>;

/// `value` with each `{{args.x}}` in its texts replaced.
pub(super) fn substitute(value: &Value, args: Lookup<'_>) -> Result<Value, String> {
    match value {
        Value::String(text) => substitute_text(text, args).map(Value::String),
        Value::Array(list) => list
            .iter()
            .map(|each| substitute(each, args))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Value::Object(object) => object
            .iter()
            .map(|(name, each)| Ok((name.clone(), substitute(each, args)?)))
            .collect::<Result<_, _>>()
            .map(Value::Object),
        other => Ok(other.clone()),
    }
}

fn substitute_text(text: &str, args: Lookup<'_>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((tag, tail)) = after.split_once("}}") else {
            return Err(format!("{text:?} has a {{{{ without its }}}}"));
        };
        let value = tag.trim().strip_prefix("args.").and_then(args);
        let value = value.ok_or_else(|| format!("failed to resolve {{{{{}}}}}", tag.trim()))??;
        filled.push_str(before);
        filled.push_str(&value);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_path_reaches_any_primitive_of_the_rollout() {
        let rollout = json!({
            "metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "shop"}},
            "spec": {"replicas": 3, "template": {"metadata": {"labels": {"version": "v2"}}}},
            "status": {"canary": {"weights": [{"weight": 5}]}},
        });
        let read = |path| field_value(&rollout, path);
        assert_eq!(read("metadata.name"), Ok("web".into()));
        assert_eq!(
            read("metadata.labels['app.kubernetes.io/name']"),
            Ok("shop".into())
        );
        assert_eq!(
            read("spec.template.metadata.labels.version"),
            Ok("v2".into())
        );
        assert_eq!(read("metadata.labels['none']"), Ok(String::new()));
        assert_eq!(read("metadata.annotations['none']"), Ok(String::new()));
        assert_eq!(
            read("metadata.labels"),
            Ok("app.kubernetes.io/name=\"shop\"".into())
        );
        assert_eq!(read("status.canary.weights[0].weight"), Ok("5".into()));
        assert_eq!(read("spec.replicas"), Ok("3".into()));
        assert_eq!(
            read("spec.nothing"),
            Err("fieldPath \"spec.nothing\": the Rollout has no nothing".into())
        );
        for bad in [
            "",
            ".",
            "a..b",
            "a[",
            "a['b",
            "metadata",
            "metadata.labels[]",
            "metadata.labels.a.b",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn arguments_are_replaced_wherever_text_stands() {
        let args = |name: &str| {
            let value = match name {
                "n" => Ok("3"),
                "q" => Ok("a\"b"),
                "s" => Err("is secret"),
                _ => return None,
            };
            Some(value.map(str::to_string).map_err(str::to_string))
        };
        let fill = |value| substitute(&value, &args);
        assert_eq!(
            fill(json!({"count": "{{args.n}}", "deep": [{"text": "x{{ args.q }}y{{args.n}}"}]})),
            Ok(json!({"count": "3", "deep": [{"text": "xa\"by3"}]}))
        );
        assert_eq!(
            fill(json!("{{args.x}}")),
            Err("failed to resolve {{args.x}}".into())
        );
        assert_eq!(
            fill(json!("{{ other }}")),
            Err("failed to resolve {{other}}".into())
        );
        assert_eq!(fill(json!("{{args.s}}")), Err("is secret".into()));
        assert!(fill(json!("{{args.n")).is_err());
    }
}
