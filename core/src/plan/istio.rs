//! `trafficRouting.istio`: the VirtualServices and the DestinationRule that a Rollout names.

use crate::field::Field;

/// Istio's objects that say who gets which requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IstioRouter {
    /// `virtualService`, or all of `virtualServices`; never empty.
    pub virtual_services: Vec<VirtualServiceRef>,
    /// `destinationRule`: the versions are subsets of one host.
    pub destination_rule: Option<DestinationRuleRef>,
}

/// A VirtualService and its routes that the weights are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServiceRef {
    /// Its name.
    pub name: String,
    /// Its namespace where `name` is written `name.namespace`; none: the Rollout's own.
    pub namespace: Option<String>,
    /// Names of HTTP routes; none: its only one that is not managed.
    pub routes: Vec<String>,
    /// TLS routes; none: its only one.
    pub tls_routes: Vec<TlsRoute>,
    /// TCP routes; none: its only one.
    pub tcp_routes: Vec<TcpRoute>,
}

/// What finds a TLS route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsRoute {
    /// The only port of its matches; none: its matches name no port.
    pub port: Option<u16>,
    /// All the hosts of its matches.
    pub sni_hosts: Vec<String>,
}

/// What finds a TCP route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpRoute {
    /// The only port of its matches; none: its matches name no port.
    pub port: Option<u16>,
}

/// A DestinationRule in the Rollout's namespace whose subsets are the versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRuleRef {
    /// Its name.
    pub name: String,
    /// The canary's subset.
    pub canary_subset: String,
    /// The stable version's subset.
    pub stable_subset: String,
    /// Subsets whose weights are somebody else's; stable gets the less.
    pub additional_subsets: Vec<String>,
}

/// Reads `istio`.
pub(super) fn read(istio: &Field<'_>) -> Option<IstioRouter> {
    istio.only(&["virtualService", "virtualServices", "destinationRule"]);
    let virtual_services = one_or_many(istio, virtual_service);
    if virtual_services.as_ref().is_some_and(Vec::is_empty) {
        istio.refuse("names no VirtualService, expected virtualService or virtualServices");
    }
    let destination_rule = match istio.optional("destinationRule") {
        Some(rule) => destination_rule(&rule).map(Some),
        None => Some(None),
    };
    Some(IstioRouter {
        virtual_services: virtual_services?,
        destination_rule: destination_rule?,
    })
}

/// `virtualService`, or all of `virtualServices`; empty if there is neither.
fn one_or_many(
    router: &Field<'_>,
    read: impl Fn(&Field<'_>) -> Option<VirtualServiceRef>,
) -> Option<Vec<VirtualServiceRef>> {
    match (
        router.optional("virtualService"),
        router.optional("virtualServices"),
    ) {
        (Some(one), None) => read(&one).map(|one| vec![one]),
        (None, Some(many)) => {
            let items = many.list();
            if items.is_empty() {
                many.expected("at least one VirtualService");
                return None;
            }
            let read: Vec<_> = items.iter().map(read).collect();
            read.into_iter().collect()
        }
        (Some(_), Some(many)) => {
            many.refuse("stands beside virtualService, expected one of them");
            None
        }
        (None, None) => Some(Vec::new()),
    }
}

/// The same where all routes are meant.
pub(super) fn named(router: &Field<'_>) -> Option<Vec<VirtualServiceRef>> {
    one_or_many(router, |service| {
        service.only(&["name"]);
        let name = service.required("name", "a VirtualService's name")?;
        let (name, namespace) = name_and_namespace(&name)?;
        Some(VirtualServiceRef {
            name,
            namespace,
            routes: Vec::new(),
            tls_routes: Vec::new(),
            tcp_routes: Vec::new(),
        })
    })
}

fn virtual_service(service: &Field<'_>) -> Option<VirtualServiceRef> {
    service.only(&["name", "routes", "tlsRoutes", "tcpRoutes"]);
    let name = service
        .required("name", "a VirtualService's name")
        .and_then(|name| name_and_namespace(&name));
    let routes = names(service, "routes");
    let tls_routes = routes_of(service, "tlsRoutes", |route| {
        route.only(&["port", "sniHosts"]);
        Some(TlsRoute {
            port: port(route)?,
            sni_hosts: names(route, "sniHosts")?,
        })
    });
    let tcp_routes = routes_of(service, "tcpRoutes", |route| {
        route.only(&["port"]);
        port(route).map(|port| TcpRoute { port })
    });
    let (name, namespace) = name?;
    Some(VirtualServiceRef {
        name,
        namespace,
        routes: routes?,
        tls_routes: tls_routes?,
        tcp_routes: tcp_routes?,
    })
}

/// A namespace has no dot in it, so what follows the last one is the namespace. A name in full
/// ends with the cluster's own domain.
fn name_and_namespace(field: &Field<'_>) -> Option<(String, Option<String>)> {
    let text = field.name()?;
    let text = text.strip_suffix(".cluster.local").unwrap_or(text);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text
        .split('.')
        .all(|part| !part.is_empty() && part.chars().all(plain))
    {
        field.expected("a VirtualService's name, or name.namespace");
        return None;
    }
    Some(match text.rsplit_once('.') {
        Some((name, namespace)) => (name.to_string(), Some(namespace.to_string())),
        None => (text.to_string(), None),
    })
}

fn destination_rule(rule: &Field<'_>) -> Option<DestinationRuleRef> {
    const STABLE: &str = "stableSubsetName";
    const CANARY: &str = "canarySubsetName";
    rule.only(&["name", CANARY, STABLE, "additionalSubsetNames"]);
    let name = |field: &str, accepted: &str| {
        let field = rule.required(field, accepted)?;
        field.name().map(str::to_string)
    };
    let read = (
        name("name", "a DestinationRule's name"),
        name(CANARY, "the canary's subset"),
        name(STABLE, "the stable version's subset"),
        names(rule, "additionalSubsetNames"),
    );
    let read = DestinationRuleRef {
        name: read.0?,
        canary_subset: read.1?,
        stable_subset: read.2?,
        additional_subsets: read.3?,
    };
    let own = [&read.canary_subset, &read.stable_subset];
    if read.canary_subset == read.stable_subset {
        rule.refuse(format_args!(
            "{CANARY} and {STABLE} are both {:?}, expected two subsets",
            read.stable_subset
        ));
    }
    if let Some(twice) = read
        .additional_subsets
        .iter()
        .find(|name| own.contains(name))
    {
        rule.refuse(format_args!(
            "additionalSubsetNames has {twice:?}, expected neither {CANARY} nor {STABLE}"
        ));
    }
    Some(read)
}

fn names(parent: &Field<'_>, field: &str) -> Option<Vec<String>> {
    parent
        .optional(field)
        .map_or(Some(Vec::new()), |list| list.names())
}

fn routes_of<T>(
    service: &Field<'_>,
    name: &str,
    read: impl Fn(&Field<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(list) = service.optional(name) else {
        return Some(Vec::new());
    };
    let routes: Vec<_> = list.list().iter().map(read).collect();
    routes.into_iter().collect()
}

/// A port; 0 is none, as with Argo Rollouts.
fn port(route: &Field<'_>) -> Option<Option<u16>> {
    let Some(field) = route.optional("port") else {
        return Some(None);
    };
    let port = u16::try_from(field.integer(0, i64::from(u16::MAX))?).ok()?;
    Some((port != 0).then_some(port))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Plan, Router};
    use super::*;

    fn parse(istio: Value) -> Result<IstioRouter, String> {
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
                "strategy": {"canary": {
                    "stableService": "shop", "canaryService": "shop-canary",
                    "trafficRouting": {"istio": istio},
                }},
            },
        });
        let plan = Plan::parse(&document, "default").map_err(|errors| errors.to_string())?;
        match plan.router {
            Router::Istio(istio) => Ok(istio),
            other => panic!("{other:?}"),
        }
    }

    fn refusal(istio: Value) -> String {
        let refused = parse(istio).unwrap_err();
        refused.replace("spec.strategy.canary.trafficRouting.istio", "istio")
    }

    fn named(name: &str) -> Result<(String, Option<String>), String> {
        let read = parse(json!({"virtualService": {"name": name}}))?;
        let service = read.virtual_services[0].clone();
        Ok((service.name, service.namespace))
    }

    #[test]
    fn a_virtual_service_may_be_in_another_namespace() {
        let name = |name: &str, namespace: Option<&str>| {
            Ok((name.to_string(), namespace.map(str::to_string)))
        };
        assert_eq!(named("shop"), name("shop", None));
        assert_eq!(named("shop.web"), name("shop", Some("web")));
        assert_eq!(named("shop.v1.web"), name("shop.v1", Some("web")));
        assert_eq!(named("shop.web.cluster.local"), name("shop", Some("web")));
        for wrong in ["shop.", ".web", "Shop", "a b"] {
            let refused = named(wrong).unwrap_err();
            let accepted = "expected a VirtualService's name, or name.namespace";
            assert!(refused.ends_with(accepted), "{refused}");
        }
    }

    #[test]
    fn all_kinds_of_routes_are_kept() {
        let read = parse(json!({"virtualServices": [
            {"name": "shop", "routes": ["primary", "second"]},
            {"name": "db", "tcpRoutes": [{"port": 5432}, {}],
             "tlsRoutes": [{"port": 443, "sniHosts": ["a.example.com"]}]},
        ]}));
        let [shop, db] = &read.unwrap().virtual_services[..] else {
            panic!("two are read")
        };
        assert_eq!(shop.routes, ["primary", "second"]);
        let tcp = |port| TcpRoute { port };
        assert_eq!(db.tcp_routes, [tcp(Some(5432)), tcp(None)]);
        assert_eq!(
            db.tls_routes,
            [TlsRoute {
                port: Some(443),
                sni_hosts: vec!["a.example.com".into()]
            }]
        );
    }

    #[test]
    fn subsets_are_kept() {
        let rule = json!({"name": "shop", "canarySubsetName": "canary",
            "stableSubsetName": "stable", "additionalSubsetNames": ["beta"]});
        let read = parse(json!({"virtualService": {"name": "shop"}, "destinationRule": rule}));
        assert_eq!(
            read.unwrap().destination_rule,
            Some(DestinationRuleRef {
                name: "shop".into(),
                canary_subset: "canary".into(),
                stable_subset: "stable".into(),
                additional_subsets: vec!["beta".into()],
            })
        );
    }

    #[test]
    fn what_is_wrong_is_refused_by_its_field() {
        let service = json!({"name": "shop"});
        for (istio, told) in [
            (
                json!({}),
                "istio: names no VirtualService, expected virtualService or virtualServices",
            ),
            (
                json!({"virtualService": service, "virtualServices": [service]}),
                "istio.virtualServices: stands beside virtualService, expected one of them",
            ),
            (
                json!({"virtualServices": []}),
                "istio.virtualServices: is [], expected at least one VirtualService",
            ),
            (
                json!({"virtualService": {"name": "shop", "tcpRoutes": [{"port": 70000}]}}),
                "istio.virtualService.tcpRoutes[0].port: is 70000, expected a whole number from 0 \
                 to 65535",
            ),
            (
                json!({"virtualService": {"name": "shop", "routes": ["a", ""]}}),
                "istio.virtualService.routes[1]: is \"\", expected a name",
            ),
            (
                json!({"virtualService": service, "destinationRule": {"name": "shop",
                    "canarySubsetName": "one"}}),
                "istio.destinationRule.stableSubsetName: is missing, expected the stable \
                 version's subset",
            ),
            (
                json!({"virtualService": service, "destinationRule": {"name": "shop",
                    "canarySubsetName": "one", "stableSubsetName": "one"}}),
                "istio.destinationRule: canarySubsetName and stableSubsetName are both \"one\", \
                 expected two subsets",
            ),
            (
                json!({"virtualService": service, "destinationRule": {"name": "shop",
                    "canarySubsetName": "one", "stableSubsetName": "two",
                    "additionalSubsetNames": ["one"]}}),
                "istio.destinationRule: additionalSubsetNames has \"one\", expected neither \
                 canarySubsetName nor stableSubsetName",
            ),
        ] {
            assert_eq!(refusal(istio), told);
        }
    }
}
