//! Which routes of a VirtualService a Rollout means.

use serde_json::Value;
use serin_core::plan::{TcpRoute, TlsRoute, VirtualServiceRef};
use std::collections::BTreeSet;

use super::managed::is_managed;
use super::place::{Kind, Place};
use super::refusal::{Cause, names_in};

/// The routes that carry the weights, at least one. Each list that there is has one of them: where
/// it is not clear which, requests might stay with stable to the end.
pub(super) fn routes(
    object: &Value,
    reference: &VirtualServiceRef,
    managed: &[String],
) -> Result<Vec<Place>, Cause> {
    let mut places = http(object, &reference.routes, managed)?;
    places.extend(tls(object, &reference.tls_routes)?);
    places.extend(tcp(object, &reference.tcp_routes)?);
    if places.is_empty() {
        return Err(Cause::NoRoutes);
    }
    Ok(places)
}

/// In the order of `names`, the first of which managed routes take after.
fn http(object: &Value, names: &[String], managed: &[String]) -> Result<Vec<Place>, Cause> {
    let kind = Kind::Http;
    if names.is_empty() {
        return only(object, kind, "routes", |route| !is_managed(route, managed));
    }
    let routes = kind.routes(object);
    let place = |name: &String| {
        if managed.contains(name) {
            let route = name.clone();
            return Err(Cause::RouteIsManaged { route });
        }
        let index = routes.iter().position(|route| route["name"] == **name);
        let index = index.ok_or_else(|| Cause::NoSuchRoute {
            route: name.clone(),
            found: names_in(routes),
        })?;
        Ok(Place { kind, index })
    };
    names.iter().map(place).collect()
}

fn tls(object: &Value, wanted: &[TlsRoute]) -> Result<Vec<Place>, Cause> {
    let kind = Kind::Tls;
    if wanted.is_empty() {
        return only(object, kind, "tlsRoutes", |_| true);
    }
    let mut places = Vec::new();
    for TlsRoute { port, sni_hosts } in wanted {
        let hosts: BTreeSet<&str> = sni_hosts.iter().map(String::as_str).collect();
        let fits = |route: &Value| has_port(route, *port) && sni_hosts_of(route) == hosts;
        let sought = || format!("{} and SNI hosts {hosts:?}", port_text(*port));
        places.extend(all_that(object, kind, fits, sought)?);
    }
    Ok(places)
}

fn tcp(object: &Value, wanted: &[TcpRoute]) -> Result<Vec<Place>, Cause> {
    let kind = Kind::Tcp;
    if wanted.is_empty() {
        return only(object, kind, "tcpRoutes", |_| true);
    }
    let mut places = Vec::new();
    for TcpRoute { port } in wanted {
        let fits = |route: &Value| has_port(route, *port);
        places.extend(all_that(object, kind, fits, || port_text(*port))?);
    }
    Ok(places)
}

/// The one route that will do, and nothing of an empty list; `names` is the Rollout's field that
/// tells which is meant.
fn only(
    object: &Value,
    kind: Kind,
    names: &'static str,
    will_do: impl Fn(&Value) -> bool,
) -> Result<Vec<Place>, Cause> {
    let routes = kind.routes(object);
    let found = places(routes, kind, will_do);
    match found.len() {
        1 => Ok(found),
        0 if routes.is_empty() => Ok(found),
        count => Err(Cause::NotOneRoute { kind, count, names }),
    }
}

/// All routes that fit, which is at least one.
fn all_that(
    object: &Value,
    kind: Kind,
    fits: impl Fn(&Value) -> bool,
    sought: impl Fn() -> String,
) -> Result<Vec<Place>, Cause> {
    let found = places(kind.routes(object), kind, fits);
    match found.is_empty() {
        false => Ok(found),
        true => Err(Cause::NoRouteMatches {
            kind,
            sought: sought(),
        }),
    }
}

fn places(routes: &[Value], kind: Kind, will_do: impl Fn(&Value) -> bool) -> Vec<Place> {
    let found = routes
        .iter()
        .enumerate()
        .filter(|(_, route)| will_do(route));
    found.map(|(index, _)| Place { kind, index }).collect()
}

/// Whether all matches of a route name this port, or none does; a route with several fits nothing.
fn has_port(route: &Value, port: Option<u16>) -> bool {
    let of_match = |one: &Value| one["port"].as_u64().filter(|port| *port != 0);
    let ports: BTreeSet<Option<u64>> = matches_of(route).iter().map(of_match).collect();
    let port = port.map(u64::from);
    match ports.first() {
        Some(first) => ports.len() == 1 && *first == port,
        None => port.is_none(),
    }
}

fn sni_hosts_of(route: &Value) -> BTreeSet<&str> {
    let lists = matches_of(route)
        .iter()
        .filter_map(|one| one["sniHosts"].as_array());
    lists.flatten().filter_map(Value::as_str).collect()
}

fn matches_of(route: &Value) -> &[Value] {
    let list = route["match"].as_array();
    list.map_or(&[], Vec::as_slice)
}

fn port_text(port: Option<u16>) -> String {
    port.map_or("no port".to_string(), |port| format!("port {port}"))
}
