//! A Service, as far as routing needs it.

use std::collections::BTreeMap;

use serde_json::Value;
use serin_core::field::{Field, FieldErrors, Report};

use super::pod::Port;

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The labels of the pods it selects.
    pub selector: BTreeMap<String, String>,
    /// Where its first port leads.
    pub target: Target,
}

/// A port of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By number.
    Number(u16),
    /// By the name of a container port.
    Name(String),
}

impl Service {
    /// Reads a Service.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(document: &Value) -> Result<Service, FieldErrors> {
        let report = Report::default();
        let service = read(&Field::root("", document, &report));
        report.finish(service)
    }

    /// A label that the Service asks for and `labels` do not have.
    pub fn unmatched(&self, labels: &BTreeMap<String, String>) -> Option<(&str, &str)> {
        self.selector
            .iter()
            .find(|(label, value)| labels.get(*label) != Some(value))
            .map(|(label, value)| (label.as_str(), value.as_str()))
    }

    /// The number of the port that the Service leads to.
    ///
    /// # Errors
    /// If no container port has the name.
    pub fn target(&self, ports: &[Port]) -> Result<u16, String> {
        match &self.target {
            Target::Number(number) => Ok(*number),
            Target::Name(name) => ports
                .iter()
                .find(|port| port.name.as_deref() == Some(name))
                .map(|port| port.number)
                .ok_or_else(|| {
                    let known: Vec<&str> = ports
                        .iter()
                        .filter_map(|port| port.name.as_deref())
                        .collect();
                    format!(
                        "spec.ports[0].targetPort: is {name:?}, expected a number or the name of \
                         a container port ({})",
                        if known.is_empty() {
                            "none has a name".to_string()
                        } else {
                            known.join(", ")
                        }
                    )
                }),
        }
    }
}

/// The fields of a Service's spec; only `selector` and `ports` mean something on one machine.
const SPEC: [&str; 20] = [
    "selector",
    "ports",
    "type",
    "clusterIP",
    "clusterIPs",
    "externalIPs",
    "externalName",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "allocateLoadBalancerNodePorts",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "publishNotReadyAddresses",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
];

const PORT: [&str; 6] = [
    "name",
    "port",
    "targetPort",
    "protocol",
    "appProtocol",
    "nodePort",
];

fn read(root: &Field<'_>) -> Option<Service> {
    let name = root
        .required("metadata", "an object")?
        .required("name", "a name")?;
    let spec = root.required("spec", "an object with selector and ports")?;
    spec.only(&SPEC);
    let selector = spec.required("selector", "the labels of the Rollout's pods")?;
    let labels = strings(&selector)?;
    if labels.is_empty() {
        selector.expected("the labels of the Rollout's pods");
    }
    let ports = spec.required("ports", "a list of ports")?;
    let Some(first) = ports.list().into_iter().next() else {
        ports.expected("at least one port");
        return None;
    };
    first.only(&PORT);
    let port = first.required("port", "a port number")?.integer(1, 65535)?;
    let target = match first.optional("targetPort") {
        None => Target::Number(u16::try_from(port).ok()?),
        Some(target) if target.value().is_string() => Target::Name(target.name()?.to_string()),
        Some(target) => Target::Number(u16::try_from(target.integer(1, 65535)?).ok()?),
    };
    Some(Service {
        name: label(&name)?.to_string(),
        selector: labels,
        target,
    })
}

/// A Service's name is part of host names.
fn label<'a>(field: &Field<'a>) -> Option<&'a str> {
    const LONGEST: usize = 63;
    let name = field.name()?;
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = name.len() <= LONGEST
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !good {
        field.expected(format_args!(
            "a DNS label (a-z, 0-9 and - inside, at most {LONGEST} characters)"
        ));
    }
    good.then_some(name)
}

/// An object whose values are strings.
pub(super) fn strings(field: &Field<'_>) -> Option<BTreeMap<String, String>> {
    let object = field.object()?;
    object
        .keys()
        .map(|name| {
            let value = field.required(name, "a string")?.string()?;
            Some((name.clone(), value.to_string()))
        })
        .collect()
}
