//! A pod template, as far as one machine can run it: the first container becomes a process.
//! What would be wrong to ignore is refused by its field, the rest is named in a notice.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use serin_core::field::{Field, FieldErrors, Report};

use super::expand::expand;
use super::service::strings;

/// What a replica runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// The pods' labels.
    pub labels: BTreeMap<String, String>,
    /// The container's image; shown, never run.
    pub image: String,
    /// Program and arguments as written.
    command: Vec<String>,
    /// Variables as written, in their order.
    env: Vec<(String, Source)>,
    /// Where the process starts, as written.
    pub working_dir: Option<String>,
    /// What it listens on.
    pub ports: Vec<Port>,
    /// How it says that it is ready.
    pub probe: Probe,
    /// How long it may take to end when asked to.
    pub grace: Duration,
}

/// A container port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: Option<String>,
    /// Its number.
    pub number: u16,
}

/// What a readiness probe does and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub ask: Ask,
    /// Before the first time.
    pub initial_delay: Duration,
    /// Between two times.
    pub period: Duration,
    /// For an answer.
    pub timeout: Duration,
    /// Bad answers in a row until it is not ready.
    pub failures: u32,
    /// Good answers in a row until it is ready.
    pub successes: u32,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Whether this port takes connections.
    Tcp(u16),
    /// Whether a GET is answered with 200 to 399.
    Http {
        /// The port.
        port: u16,
        /// The path.
        path: String,
        /// Headers to send.
        headers: Vec<(String, String)>,
    },
    /// Nothing: a process that runs is ready.
    Nothing,
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Value(String),
    Ip,
    Name,
    Namespace,
    Label(String),
}

/// What differs between the replicas of one template.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The replica's name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its address.
    pub ip: &'a str,
}

/// A process to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The container's variables.
    pub env: Vec<(String, String)>,
}

impl Pod {
    /// Reads `spec.template`; beside the pod come notices about what is left out.
    ///
    /// # Errors
    /// Every field that is wrong or cannot be had on one machine.
    pub fn parse(template: &Value) -> Result<(Pod, Vec<String>), FieldErrors> {
        let report = Report::default();
        let mut notices = Vec::new();
        let pod = read(
            &Field::root("spec.template", template, &report),
            &mut notices,
        );
        report.finish(pod).map(|pod| (pod, notices))
    }

    /// What to start for one replica.
    pub fn invocation(&self, who: Identity<'_>) -> Invocation {
        let mut env: Vec<(String, String)> = Vec::new();
        for (name, source) in &self.env {
            // A value sees the variables before it, as in a container.
            let value = match source {
                Source::Value(text) => expand(text, |known| last(&env, known)),
                Source::Ip => who.ip.to_string(),
                Source::Name => who.name.to_string(),
                Source::Namespace => who.namespace.to_string(),
                Source::Label(label) => self.labels.get(label).cloned().unwrap_or_default(),
            };
            env.push((name.clone(), value));
        }
        let mut words = self
            .command
            .iter()
            .map(|word| expand(word, |name| last(&env, name)));
        Invocation {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            env,
        }
    }
}

fn last(env: &[(String, String)], name: &str) -> Option<String> {
    let found = env.iter().rev().find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone())
}

/// Fields of a pod that a process on this machine does without.
const POD_UNUSED: [&str; 30] = [
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "shareProcessNamespace",
    "tolerations",
    "topologySpreadConstraints",
];

const POD_USED: [&str; 5] = [
    "containers",
    "initContainers",
    "ephemeralContainers",
    "volumes",
    "terminationGracePeriodSeconds",
];

const CONTAINER_UNUSED: [&str; 12] = [
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "securityContext",
    "startupProbe",
    "stdin",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
];

const CONTAINER_USED: [&str; 11] = [
    "name",
    "image",
    "command",
    "args",
    "env",
    "envFrom",
    "ports",
    "readinessProbe",
    "volumeMounts",
    "volumeDevices",
    "workingDir",
];

fn read(template: &Field<'_>, notices: &mut Vec<String>) -> Option<Pod> {
    template.only(&["metadata", "spec"]);
    let labels = template
        .optional("metadata")
        .and_then(|metadata| metadata.optional("labels"))
        .map_or_else(|| Some(BTreeMap::new()), |labels| strings(&labels));
    let spec = template.required("spec", "an object with containers")?;
    spec.only(&[&POD_USED[..], &POD_UNUSED[..]].concat());
    if spec.optional("initContainers").is_some() {
        notices.push(format!("{}.initContainers are not run here", spec.path()));
    }
    // The kubelet's default is 30 s; a template may ask for more, a person at a terminal waits
    // for no more than the default.
    let grace = match spec.optional("terminationGracePeriodSeconds") {
        None => Some(30),
        Some(grace) => grace.integer(0, i64::from(u32::MAX)),
    };
    let containers = spec.required("containers", "a list of containers")?;
    let mut all = containers.list().into_iter();
    let Some(first) = all.next() else {
        containers.expected("at least one container");
        return None;
    };
    for other in all {
        notices.push(format!(
            "{} is not run here, only the first container is",
            other.path()
        ));
    }
    container(&first, labels?, grace?, notices)
}

fn container(
    container: &Field<'_>,
    labels: BTreeMap<String, String>,
    grace: i64,
    notices: &mut Vec<String>,
) -> Option<Pod> {
    container.only(&[&CONTAINER_USED[..], &CONTAINER_UNUSED[..]].concat());
    for probe in ["livenessProbe", "startupProbe", "lifecycle"] {
        if let Some(unused) = container.optional(probe) {
            notices.push(format!("{} is not used here", unused.path()));
        }
    }
    if let Some(mounts) = container.optional("volumeMounts") {
        mounts.refuse(
            "is not supported in local mode, expected none (a process sees this machine's files)",
        );
    }
    if let Some(sources) = container.optional("envFrom") {
        sources.refuse("is not supported in local mode, expected env (there are no ConfigMaps or Secrets here)");
    }
    let command = container.required(
        "command",
        "the program to run (an image cannot be run in local mode)",
    );
    let mut words = command.as_ref().and_then(texts)?;
    if words.is_empty() {
        command?.expected("at least the program");
    }
    if let Some(args) = container.optional("args") {
        words.extend(texts(&args)?);
    }
    let env = env(container, &labels);
    let ports = ports(container);
    let text = |name: &str| match container.optional(name) {
        None => Some(None),
        Some(text) => text.string().map(|text| Some(text.to_string())),
    };
    let (image, working_dir) = (text("image"), text("workingDir"));
    let ports = ports?;
    let probe = probe(container, &ports);
    Some(Pod {
        labels,
        image: image?.unwrap_or_default(),
        command: words,
        env: env?,
        working_dir: working_dir?,
        ports,
        probe: probe?,
        grace: Duration::from_secs(u64::try_from(grace).ok()?),
    })
}

fn texts(field: &Field<'_>) -> Option<Vec<String>> {
    let words = field.list();
    words
        .iter()
        .map(|word| word.string().map(str::to_string))
        .collect()
}

fn env(container: &Field<'_>, labels: &BTreeMap<String, String>) -> Option<Vec<(String, Source)>> {
    let Some(list) = container.optional("env") else {
        return Some(Vec::new());
    };
    let read: Vec<_> = list
        .list()
        .iter()
        .map(|variable| {
            variable.only(&["name", "value", "valueFrom"]);
            let name = variable.required("name", "the variable's name")?.name()?;
            let source = match variable.optional("valueFrom") {
                Some(from) => reference(&from, labels),
                None => match variable.optional("value") {
                    Some(value) => value.string().map(|text| Source::Value(text.to_string())),
                    None => Some(Source::Value(String::new())),
                },
            };
            Some((name.to_string(), source?))
        })
        .collect();
    read.into_iter().collect()
}

fn reference(from: &Field<'_>, labels: &BTreeMap<String, String>) -> Option<Source> {
    from.only(&["fieldRef"]);
    let field = from.required(
        "fieldRef",
        "a fieldRef (local mode has no ConfigMaps or Secrets)",
    )?;
    field.only(&["fieldPath", "apiVersion"]);
    let path = field.required("fieldPath", "a field's path")?;
    let text = path.string()?;
    let label = text
        .strip_prefix("metadata.labels['")
        .and_then(|rest| rest.strip_suffix("']"));
    match (text, label) {
        ("status.podIP" | "status.hostIP", _) => Some(Source::Ip),
        ("metadata.name", _) => Some(Source::Name),
        ("metadata.namespace", _) => Some(Source::Namespace),
        (_, Some(label)) if labels.contains_key(label) => Some(Source::Label(label.to_string())),
        (_, Some(_)) => {
            path.expected("a label that spec.template.metadata.labels has");
            None
        }
        _ => {
            path.expected(
                "status.podIP, metadata.name, metadata.namespace or metadata.labels['…']",
            );
            None
        }
    }
}

fn ports(container: &Field<'_>) -> Option<Vec<Port>> {
    let Some(list) = container.optional("ports") else {
        return Some(Vec::new());
    };
    let read: Vec<_> = list
        .list()
        .iter()
        .map(|port| {
            port.only(&["name", "containerPort", "protocol", "hostIP", "hostPort"]);
            let number = port
                .required("containerPort", "a port number")?
                .integer(1, 65535)?;
            let name = match port.optional("name") {
                None => None,
                Some(name) => Some(name.name()?.to_string()),
            };
            Some(Port {
                name,
                number: u16::try_from(number).ok()?,
            })
        })
        .collect();
    read.into_iter().collect()
}

/// A port by number or by a container port's name.
fn port(field: &Field<'_>, ports: &[Port]) -> Option<u16> {
    let Some(name) = field.value().as_str() else {
        return field
            .integer(1, 65535)
            .and_then(|number| u16::try_from(number).ok());
    };
    let found = ports.iter().find(|port| port.name.as_deref() == Some(name));
    if found.is_none() {
        field.expected("a port number or the name of one of the container's ports");
    }
    found.map(|port| port.number)
}

fn probe(container: &Field<'_>, ports: &[Port]) -> Option<Probe> {
    let Some(probe) = container.optional("readinessProbe") else {
        let ask = ports
            .first()
            .map_or(Ask::Nothing, |port| Ask::Tcp(port.number));
        return Some(Probe {
            ask,
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures: 3,
            successes: 1,
        });
    };
    probe.only(&[
        "httpGet",
        "tcpSocket",
        "initialDelaySeconds",
        "periodSeconds",
        "timeoutSeconds",
        "failureThreshold",
        "successThreshold",
        "terminationGracePeriodSeconds",
    ]);
    let whole = |name: &str, low: i64, default: u32| match probe.optional(name) {
        None => Some(default),
        Some(field) => field
            .integer(low, 1_000_000)
            .and_then(|n| u32::try_from(n).ok()),
    };
    let seconds = |n: u32| Duration::from_secs(u64::from(n));
    let ask = match (probe.optional("httpGet"), probe.optional("tcpSocket")) {
        (Some(get), None) => http(&get, ports),
        (None, Some(tcp)) => {
            tcp.only(&["port"]);
            let field = tcp.required("port", "a port");
            field.and_then(|field| port(&field, ports)).map(Ask::Tcp)
        }
        _ => {
            probe.refuse("expected one of httpGet, tcpSocket");
            None
        }
    };
    Some(Probe {
        initial_delay: seconds(whole("initialDelaySeconds", 0, 0)?),
        period: seconds(whole("periodSeconds", 1, 10)?),
        timeout: seconds(whole("timeoutSeconds", 1, 1)?),
        failures: whole("failureThreshold", 1, 3)?,
        successes: whole("successThreshold", 1, 1)?,
        ask: ask?,
    })
}

fn http(get: &Field<'_>, ports: &[Port]) -> Option<Ask> {
    get.only(&["path", "port", "scheme", "httpHeaders"]);
    if let Some(scheme) = get.optional("scheme")
        && scheme.value() != "HTTP"
    {
        scheme.expected("HTTP");
    }
    let path = match get.optional("path") {
        None => "/".to_string(),
        Some(path) => path.string()?.to_string(),
    };
    let headers = match get.optional("httpHeaders") {
        None => Some(Vec::new()),
        Some(headers) => headers
            .list()
            .iter()
            .map(|header| {
                header.only(&["name", "value"]);
                let text = |name| Some(header.required(name, "a string")?.string()?.to_string());
                Some((text("name")?, text("value")?))
            })
            .collect(),
    };
    let port = port(&get.required("port", "a port")?, ports)?;
    Some(Ask::Http {
        port,
        path,
        headers: headers?,
    })
}
