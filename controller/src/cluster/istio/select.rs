//! Which routes of a VirtualService the weights are written to.

use std::collections::BTreeSet;

use serde_json::Value;
use serin_core::plan::VirtualServiceRef;

use super::Refusal;

/// Where a route is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// `http`, `tls` or `tcp`.
    pub(super) protocol: &'static str,
    /// In that list.
    pub(super) index: usize,
}

/// The routes that a reference means, in a VirtualService without its managed routes.
pub(super) fn routes(object: &Value, reference: &VirtualServiceRef) -> Result<Vec<At>, Refusal> {
    let mut found = http(object, reference)?;
    let named = !reference.tls_routes.is_empty() || !reference.tcp_routes.is_empty();
    for wanted in &reference.tls_routes {
        let fits = |route: &Value| {
            let hosts: BTreeSet<&str> = wanted.sni_hosts.iter().map(String::as_str).collect();
            port_of(route) == wanted.port.map(u64::from) && sni_of(route) == hosts
        };
        let what = format!(
            "tls route for port {:?} and {:?}",
            wanted.port, wanted.sni_hosts
        );
        found.extend(fitting(object, reference, "tls", &what, fits)?);
    }
    for wanted in &reference.tcp_routes {
        let fits = |route: &Value| port_of(route) == wanted.port.map(u64::from);
        let what = format!("tcp route for port {:?}", wanted.port);
        found.extend(fitting(object, reference, "tcp", &what, fits)?);
    }
    if found.is_empty() && !named {
        // As with http, the only route needs no words.
        for protocol in ["tls", "tcp"] {
            if list(object, protocol).len() == 1 {
                found.push(At { protocol, index: 0 });
            }
        }
    }
    if found.is_empty() {
        return Err(Refusal::NoRoute {
            service: reference.name.clone(),
            what: "route to write weights to".to_string(),
            accepted: "one route in spec.http, spec.tls or spec.tcp, or the names of those meant"
                .to_string(),
        });
    }
    Ok(found)
}

/// HTTP routes: those named, else the only one, else the first without a name.
fn http(object: &Value, reference: &VirtualServiceRef) -> Result<Vec<At>, Refusal> {
    let routes = list(object, "http");
    let at = |index| At {
        protocol: "http",
        index,
    };
    if !reference.routes.is_empty() {
        let find = |name: &String| {
            let index = routes.iter().position(|route| route["name"] == **name);
            index.map(at).ok_or_else(|| Refusal::NoRoute {
                service: reference.name.clone(),
                what: format!("http route {name:?}"),
                accepted: names(routes),
            })
        };
        return reference.routes.iter().map(find).collect();
    }
    let first = match routes {
        [] => return Ok(Vec::new()),
        [_] => Some(0),
        many => many
            .iter()
            .position(|route| route.get("name").is_none_or(|name| name == "")),
    };
    match first {
        Some(index) => Ok(vec![at(index)]),
        None => Err(Refusal::NoRoute {
            service: reference.name.clone(),
            what: "http route without a name".to_string(),
            accepted: format!("virtualService.routes to name some of {}", names(routes)),
        }),
    }
}

fn fitting(
    object: &Value,
    reference: &VirtualServiceRef,
    protocol: &'static str,
    what: &str,
    fits: impl Fn(&Value) -> bool,
) -> Result<Vec<At>, Refusal> {
    let routes = list(object, protocol).iter().enumerate();
    let found: Vec<At> = routes
        .filter(|(_, route)| fits(route))
        .map(|(index, _)| At { protocol, index })
        .collect();
    if found.is_empty() {
        return Err(Refusal::NoRoute {
            service: reference.name.clone(),
            what: what.to_string(),
            accepted: format!("one whose matches are these and no others in spec.{protocol}"),
        });
    }
    Ok(found)
}

fn names(routes: &[Value]) -> String {
    let names: Vec<&str> = routes
        .iter()
        .filter_map(|route| route["name"].as_str())
        .collect();
    match names.is_empty() {
        true => "a route with that name".to_string(),
        false => format!("one of {}", names.join(", ")),
    }
}

/// The only port of a route's matches; none if they name none, or several.
fn port_of(route: &Value) -> Option<u64> {
    let matches = list_in(&route["match"]).iter();
    let ports: BTreeSet<u64> = matches.filter_map(|one| one["port"].as_u64()).collect();
    match ports.len() {
        1 => ports.first().copied(),
        _ => None,
    }
}

fn sni_of(route: &Value) -> BTreeSet<&str> {
    let matches = list_in(&route["match"]).iter();
    let hosts = matches.flat_map(|one| list_in(&one["sniHosts"]));
    hosts.filter_map(Value::as_str).collect()
}

pub(super) fn list<'v>(object: &'v Value, protocol: &str) -> &'v [Value] {
    list_in(&object["spec"][protocol])
}

fn list_in(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
