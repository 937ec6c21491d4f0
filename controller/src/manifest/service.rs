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
    /// Which of its ports is served: the first that says that it is HTTP, or the first.
    pub index: usize,
    /// Where that port leads.
    pub target: Target,
    /// The numbers of its other ports.
    pub others: Vec<u16>,
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

    /// What is said of the ports that nobody serves.
    pub fn unserved(&self) -> Option<String> {
        let others: Vec<String> = self.others.iter().map(ToString::to_string).collect();
        let index = self.index;
        (!others.is_empty()).then(|| {
            format!(
                "Service {}: local mode serves spec.ports[{index}] and not port {} (the first with \
                 appProtocol http, or whose name begins with http, is the one)",
                self.name,
                others.join(", ")
            )
        })
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
                        "spec.ports[{}].targetPort: is {name:?}, expected a number or the name of \
                         a container port ({})",
                        self.index,
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
    let all: Option<Vec<ServicePort>> = ports.list().into_iter().map(|f| port(&f)).collect();
    let all = all?;
    let http = all.iter().position(|port| port.http).unwrap_or_default();
    let Some(served) = all.get(http) else {
        ports.expected("at least one port");
        return None;
    };
    let others = all.iter().enumerate().filter(|(i, _)| *i != http);
    Some(Service {
        name: label(&name)?.to_string(),
        selector: labels,
        index: http,
        target: served.target.clone(),
        others: others.map(|(_, port)| port.number).collect(),
    })
}

/// A port of a Service.
struct ServicePort {
    number: u16,
    target: Target,
    /// Whether it says that it is HTTP, as Istio reads it.
    http: bool,
}

fn port(field: &Field<'_>) -> Option<ServicePort> {
    field.only(&PORT);
    let number = |field: &Field<'_>| u16::try_from(field.integer(1, 65535)?).ok();
    let port = number(&field.required("port", "a port number")?)?;
    let target = match field.optional("targetPort") {
        None => Target::Number(port),
        Some(target) if target.value().is_string() => Target::Name(target.name()?.to_string()),
        Some(target) => Target::Number(number(&target)?),
    };
    let text = |name| field.optional(name).and_then(|f| f.string());
    let protocol = text("appProtocol").or(text("name")).unwrap_or_default();
    let protocol = protocol.split('-').next().unwrap_or_default();
    let http = protocol.eq_ignore_ascii_case("http");
    Some(ServicePort {
        number: port,
        target,
        http,
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
