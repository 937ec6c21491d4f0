//! What a container's process is told: its environment and arguments, out of the pod's fields.

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};
use kube::ResourceExt;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::super::network::NODE;
use super::NODE_NAME;

/// The variables of the container, in their order: later ones may mention earlier ones.
pub(super) fn of(
    pod: &Pod,
    container: &Container,
    address: Ipv4Addr,
) -> Result<Vec<(String, String)>, String> {
    let mut known = Vec::new();
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, field_path(variable)) {
            (Some(value), _) => expand(value, &known),
            (None, Some(path)) => field(pod, path, address)
                .ok_or_else(|| format!("env {}: no field {path}", variable.name))?,
            (None, None) if variable.value_from.is_none() => String::new(),
            (None, None) => {
                return Err(format!("env {}: only fieldRef is known", variable.name));
            }
        };
        known.push((variable.name.clone(), value));
    }
    Ok(known)
}

fn field_path(variable: &EnvVar) -> Option<&str> {
    let field = variable.value_from.as_ref()?.field_ref.as_ref()?;
    Some(&field.field_path)
}

/// A field of the pod by its path, empty if it is a label or an annotation that the pod has not.
fn field(pod: &Pod, path: &str, address: Ipv4Addr) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let value = match path {
        "metadata.name" => pod.name_any(),
        "metadata.namespace" => pod.namespace()?,
        "metadata.uid" => pod.uid()?,
        "spec.nodeName" => NODE_NAME.to_string(),
        "spec.serviceAccountName" => spec.service_account_name.clone().unwrap_or_default(),
        "status.hostIP" => NODE.to_string(),
        "status.podIP" | "status.podIPs" => address.to_string(),
        _ => {
            let (map, key) = path.strip_suffix("']")?.split_once("['")?;
            let map = match map {
                "metadata.labels" => pod.labels(),
                "metadata.annotations" => pod.annotations(),
                _ => return None,
            };
            map.get(key).cloned().unwrap_or_default()
        }
    };
    Some(value)
}

/// Replaces `$(NAME)` by the variable's value and `$$` by `$`; `$(NAME)` of a variable that there
/// is not stays.
pub(super) fn expand(text: &str, variables: &[(String, String)]) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((value, after)) = reference(rest, variables) {
            expanded.push_str(value);
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

/// The value of the `(NAME)` that the text begins with, and what follows.
fn reference<'a>(text: &'a str, variables: &'a [(String, String)]) -> Option<(&'a str, &'a str)> {
    let (name, after) = text.strip_prefix('(')?.split_once(')')?;
    let (_, value) = variables.iter().rev().find(|(known, _)| known == name)?;
    Some((value, after))
}

/// `lifecycle.preStop.sleep` of the container. Other hooks are not run.
pub(super) fn pause_before_stop(container: &Container) -> Duration {
    let lifecycle = container.lifecycle.as_ref();
    let hook = lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    let sleep = hook.and_then(|hook| hook.sleep.as_ref());
    Duration::from_secs(sleep.map_or(0, |sleep| sleep.seconds.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn a_reference_is_replaced_and_what_is_none_stays() {
        let variables = [("IP".to_string(), "10.77.1.1".to_string())];
        let check = |text: &str, wanted: &str| assert_eq!(expand(text, &variables), wanted);
        check("$(IP):8080", "10.77.1.1:8080");
        check("a$(IP)b$(IP)", "a10.77.1.1b10.77.1.1");
        check("$$(IP) $(NO) $IP $( $", "$(IP) $(NO) $IP $( $");
    }
}
