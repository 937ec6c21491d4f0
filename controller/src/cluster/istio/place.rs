//! Where in a VirtualService a route is.

use serde_json::Value;
use std::fmt;

/// A list of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `spec.http`.
    Http,
    /// `spec.tls`.
    Tls,
    /// `spec.tcp`.
    Tcp,
}

/// One route of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its list.
    pub kind: Kind,
    /// Where in it.
    pub index: usize,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Http => "http",
            Kind::Tls => "tls",
            Kind::Tcp => "tcp",
        }
    }

    /// The routes of this kind; an empty list is like none.
    pub(super) fn routes(self, object: &Value) -> &[Value] {
        let list = object["spec"][self.name()].as_array();
        list.map_or(&[], Vec::as_slice)
    }

    /// The list itself, if there is one.
    pub(super) fn list(self, object: &mut Value) -> Option<&mut Vec<Value>> {
        let list = object.pointer_mut(&format!("/spec/{}", self.name()));
        list?.as_array_mut()
    }
}

impl Place {
    /// The route; null if there is none.
    pub(super) fn route(self, object: &Value) -> &Value {
        let route = self.kind.routes(object).get(self.index);
        route.unwrap_or(&Value::Null)
    }

    /// Where the route's requests go; nowhere if it redirects or delegates.
    pub(super) fn destinations(self, object: &Value) -> &[Value] {
        let list = self.route(object)["route"].as_array();
        list.map_or(&[], Vec::as_slice)
    }

    /// The same, to be changed.
    pub(super) fn destinations_mut(self, object: &mut Value) -> &mut [Value] {
        let route = self
            .kind
            .list(object)
            .and_then(|list| list.get_mut(self.index));
        let list = route.and_then(|route| route.pointer_mut("/route")?.as_array_mut());
        list.map_or(&mut [], Vec::as_mut_slice)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.{}", self.name())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}].route", self.kind, self.index)
    }
}
