//! The documents of a directory, found by kind, and the plans of its Rollouts.

use serde_json::Value;
use serin_core::field::FieldErrors;
use serin_core::plan::{Plan, Router, Workload, WorkloadRef};

use super::{Finding, Severity};
use crate::kubernetes::workload;
use crate::manifest::yaml::{self, Document};
use crate::manifest::{DEFAULT_NAMESPACE, ManifestError};

/// What is looked at.
pub(super) struct Files {
    objects: Vec<Object>,
    /// Istio's root namespace.
    pub root_namespace: String,
    /// The Rollouts, each with its plan or why there is none.
    pub rollouts: Vec<(Object, Result<Plan, NoPlan>)>,
}

/// Why a Rollout has no plan.
pub(super) enum NoPlan {
    /// It is refused.
    Refused(FieldErrors),
    /// Its template is in an object that is not here.
    Elsewhere(WorkloadRef),
}

/// One object.
#[derive(Clone)]
pub(super) struct Object {
    place: String,
    pub value: Value,
}

impl Files {
    /// Reads files given as name and text; what is no YAML is told.
    pub(super) fn read(texts: &[(String, String)], root_namespace: &str) -> (Files, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut objects = Vec::new();
        for (file, text) in texts {
            for document in yaml::documents(file, text) {
                match document {
                    Ok(document) => objects.extend(Object::all(document)),
                    Err(error) => findings.push(unread(error)),
                }
            }
        }
        let mut files = Files {
            objects,
            root_namespace: root_namespace.to_string(),
            rollouts: Vec::new(),
        };
        let rollouts = files.of_kind("Rollout");
        let rollouts = rollouts.filter(|object| object.is_of_group("argoproj.io"));
        files.rollouts = rollouts
            .map(|rollout| (rollout.clone(), files.plan(&rollout.value)))
            .collect();
        (files, findings)
    }

    /// The objects of a kind.
    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Object> {
        let is = move |object: &&Object| object.value["kind"] == *kind;
        self.objects.iter().filter(is)
    }

    /// An object by its name.
    pub(super) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Object> {
        let mut all = self.of_kind(kind);
        all.find(|object| object.namespace() == namespace && object.name() == name)
    }

    /// The Rollouts that can be carried out.
    pub(super) fn plans(&self) -> impl Iterator<Item = (&Object, &Plan)> {
        let rollouts = self.rollouts.iter();
        rollouts.filter_map(|(object, plan)| Some((object, plan.as_ref().ok()?)))
    }

    /// Those that the filter routes.
    pub(super) fn filtered(&self) -> impl Iterator<Item = (&Object, &Plan)> {
        self.plans()
            .filter(|(_, plan)| matches!(plan.router, Router::Wasm(_)))
    }

    fn plan(&self, rollout: &Value) -> Result<Plan, NoPlan> {
        let reference = WorkloadRef::of(rollout).map_err(NoPlan::Refused)?;
        let Some(reference) = reference else {
            return Plan::parse(rollout, DEFAULT_NAMESPACE).map_err(NoPlan::Refused);
        };
        let (kind, template) = workload::resource(reference.kind);
        let namespace = namespace(rollout);
        let Some(object) = self.find(&kind.kind, namespace, &reference.name) else {
            return Err(NoPlan::Elsewhere(reference));
        };
        let template = object.value.pointer(template).cloned().unwrap_or_default();
        let workload = Workload {
            template: &template,
            selector: object.value.pointer("/spec/selector"),
        };
        Plan::parse_with(rollout, DEFAULT_NAMESPACE, Some(workload)).map_err(NoPlan::Refused)
    }
}

impl Object {
    /// A document's object, or those of a list.
    fn all(document: Document) -> Vec<Object> {
        let place = format!("{} document {}", document.file, document.number);
        let mut value = document.value;
        let items = match value["kind"] == "List" {
            true => value["items"].as_array_mut().map(std::mem::take),
            false => Some(vec![value]),
        };
        let items = items.unwrap_or_default();
        let items = items.into_iter().map(|value| Object {
            place: place.clone(),
            value,
        });
        items.collect()
    }

    pub(super) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        namespace(&self.value)
    }

    fn is_of_group(&self, group: &str) -> bool {
        let version = self.value["apiVersion"].as_str().unwrap_or_default();
        version.split('/').next() == Some(group)
    }

    pub(super) fn error(&self, message: impl ToString) -> Finding {
        self.finding(Severity::Error, message)
    }

    pub(super) fn warning(&self, message: impl ToString) -> Finding {
        self.finding(Severity::Warning, message)
    }

    fn finding(&self, severity: Severity, message: impl ToString) -> Finding {
        let kind = self.value["kind"].as_str().unwrap_or("object");
        let object = match kind.starts_with("Cluster") {
            true => format!("{kind} {}", self.name()),
            false => format!("{kind} {}/{}", self.namespace(), self.name()),
        };
        Finding {
            severity,
            place: self.place.clone(),
            object,
            message: message.to_string(),
        }
    }
}

fn namespace(object: &Value) -> &str {
    let namespace = object["metadata"]["namespace"].as_str();
    namespace.unwrap_or(DEFAULT_NAMESPACE)
}

fn unread(error: ManifestError) -> Finding {
    Finding {
        severity: Severity::Error,
        place: format!("{} document {}", error.file, error.document),
        object: String::new(),
        message: error.message,
    }
}
