use super::*;
use serin_core::step::CanaryTraffic;

fn routed(namespace: &str, name: &str) -> Routed {
    Routed {
        key: Key {
            namespace: namespace.to_string(),
            name: name.to_string(),
        },
        stable_service: Some(name.to_string()),
        canary_service: Some(format!("{name}-canary")),
        hosts: vec!["Shop.Example.com".to_string()],
        sticky: Vec::new(),
        stable: "old".to_string(),
        canary: "new".to_string(),
        traffic: Traffic {
            stable: "old".to_string(),
            canary: Some(CanaryTraffic {
                revision: "new".to_string(),
                weight_bp: 500,
                routes: Vec::new(),
                mirrors: Vec::new(),
            }),
        },
    }
}

fn mesh() -> Mesh {
    let set = |namespace: &str, hash: &str, address: &str| Workload {
        rollout: routed(namespace, "shop").key,
        hash: hash.to_string(),
        proxy: address.parse().unwrap(),
        endpoints: Vec::new(),
    };
    Mesh {
        gateway: "127.0.0.1:8080".parse().unwrap(),
        routed: vec![routed("blue", "shop"), routed("green", "shop")],
        sets: vec![
            set("blue", "old", "127.16.1.1"),
            set("blue", "new", "127.16.1.2"),
        ],
    }
}

#[test]
fn a_host_leads_to_the_callers_own_namespace_first() {
    let seen = |namespace| {
        let hosts = mesh().hosts(namespace).split;
        let leads = |host: &str| {
            hosts
                .iter()
                .position(|all| all.iter().any(|known| known == host))
        };
        (
            leads("shop"),
            leads("shop.blue.svc.cluster.local"),
            leads("shop.example.com"),
        )
    };
    assert_eq!(seen(Some("green")), (Some(1), Some(0), Some(1)));
    assert_eq!(seen(Some("blue")), (Some(0), Some(0), Some(0)));
}

#[test]
fn the_gateways_own_address_leads_to_the_first_rollout() {
    let hosts = mesh().hosts(None).split;
    assert!(hosts[0].contains(&"127.0.0.1".to_string()));
    assert!(hosts[0].contains(&"localhost".to_string()));
    assert!(!mesh().hosts(Some("blue")).split[0].contains(&"localhost".to_string()));
}

#[test]
fn only_the_canarys_pods_have_a_workload_of_their_own() {
    let filters = mesh().filters();
    let workload = |name: &str| filters[name].proxy.workload.clone();
    assert_eq!(workload("in_shop-old_blue"), "shop");
    assert_eq!(workload("in_shop-new_blue"), "shop-canary");
    assert_eq!(workload("out_shop-new_blue"), "shop-canary");
}

#[test]
fn the_filter_accepts_every_configuration() {
    for config in mesh().filters().into_values() {
        config.validate().unwrap();
    }
}

#[test]
fn a_rollouts_name_does_not_take_the_host_of_anothers_service() {
    let first = Routed {
        stable_service: Some("front".to_string()),
        hosts: Vec::new(),
        ..routed("blue", "shop")
    };
    let second = Routed {
        stable_service: Some("shop".to_string()),
        canary_service: None,
        ..routed("blue", "back")
    };
    let mesh = Mesh {
        routed: vec![first, second],
        ..mesh()
    };
    let hosts = mesh.hosts(None).split;
    assert!(!hosts[0].contains(&"shop".to_string()), "{hosts:?}");
    assert!(hosts[1].contains(&"shop".to_string()), "{hosts:?}");
}

#[test]
fn a_gateway_on_an_ipv6_address_has_a_host_that_filters_accept() {
    let mesh = Mesh {
        gateway: "[::1]:8080".parse().unwrap(),
        ..mesh()
    };
    assert!(mesh.hosts(None).split[0].contains(&"[::1]".to_string()));
    assert_eq!(mesh.filters()[GATEWAY].validate(), Ok(()));
}
