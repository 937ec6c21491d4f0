use super::*;
use serde_json::{Value, json};

fn sound() -> Value {
    json!({
        "version": 1, "generation": 1, "name": "gateway", "role": "source",
        "proxy": {"workload": "gateway", "namespace": "shop"},
        "rules": [{
            "rollout": "checkout", "namespace": "shop", "service": "checkout",
            "hosts": ["checkout", "checkout.shop.svc.cluster.local", "[::1]"],
            "stable": "aaa",
            "canary": {
                "revision": "bbb", "weightBp": 10_000, "salt": "shop/checkout/bbb",
                "sticky": [{"header": "x-user"}, {"cookie": "session"}],
                "routes": [{"name": "trial", "any": [{"all": [
                    {"on": {"header": ":authority"}, "is": {"regex": "(?i)a.*"}, "not": true},
                    {"on": "path", "is": "present"}]}]}],
            },
        }],
    })
}

/// What is said when the value at a JSON pointer is another one.
fn errors(pointer: &str, value: Value) -> Vec<String> {
    let mut config = sound();
    *config.pointer_mut(pointer).unwrap() = value;
    match FilterConfig::from_json(config.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(FieldErrors(errors)) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn refuses(pointer: &str, value: Value, message: &str) {
    assert_eq!(errors(pointer, value), [message]);
}

#[test]
fn a_sound_configuration_is_accepted_and_comes_back_the_same() {
    let config = FilterConfig::from_json(sound().to_string().as_bytes()).unwrap();
    let again = serde_json::to_vec(&config).unwrap();
    assert_eq!(FilterConfig::from_json(&again).unwrap(), config);
}

#[test]
fn an_error_names_field_value_and_what_is_accepted() {
    refuses("/version", json!(2), "version: is 2, expected 1");
    refuses(
        "/rules/0/canary/weightBp",
        json!(10_001),
        "rules[0].canary.weightBp: is 10001, expected 0 to 10000 (hundredths of a percent)",
    );
    refuses(
        "/rules/0/hosts",
        json!([]),
        "rules[0].hosts: is empty, expected at least one host",
    );
    refuses(
        "/rules/0/rollout",
        json!("a;.;b"),
        "rules[0].rollout: is \"a;.;b\", expected 1 to 253 letters, digits or any of - _ . / ~",
    );
    refuses(
        "/rules/0/canary/routes/0/any/0/all",
        json!([]),
        "rules[0].canary.routes[0].any[0].all: is empty, expected at least one entry",
    );
    refuses(
        "/rules/0/canary/sticky/0/header",
        json!("X-User"),
        "rules[0].canary.sticky[0].header: is \"X-User\", expected a header name in lower case, \
         1 to 63 characters, not x-serin-variant",
    );
    refuses(
        "/role",
        json!("destination"),
        "rules: has entries, expected none with role destination",
    );
}

#[test]
fn hosts_are_lower_case_without_port() {
    for host in [
        "Checkout",
        "checkout:80",
        "",
        "*",
        "::1",
        "[::1]:80",
        "[ABCD::1]",
        "a b",
        "é",
    ] {
        let said = errors("/rules/0/hosts/0", json!(host));
        assert_eq!(said.len(), 1, "{host}: {said:?}");
    }
    assert_eq!(errors("/rules/0/hosts/0", json!("10.0.0.1")), [""; 0]);
}

#[test]
fn a_host_belongs_to_one_rule() {
    let mut config = sound();
    let rule = config["rules"][0].clone();
    config["rules"].as_array_mut().unwrap().push(rule);
    let said = FilterConfig::from_json(config.to_string().as_bytes()).unwrap_err();
    assert_eq!(
        said.0[0].to_string(),
        "rules[1].hosts[0]: is \"checkout\", expected a host that rules[0] does not name"
    );
    refuses(
        "/rules/0/hosts/0",
        json!("[::1]"),
        "rules[0].hosts[2]: is \"[::1]\", expected a host that rules[0] does not name",
    );
}

#[test]
fn a_regular_expression_is_one_that_the_filter_knows_and_can_afford() {
    let at = "/rules/0/canary/routes/0/any/0/all/0/is/regex";
    for regex in [
        "(",
        "a)(b",
        "(?=a)",
        r"\p{Greek}",
        "a{1000}{1000}",
        r"(a)\1",
    ] {
        let said = errors(at, json!(regex));
        assert_eq!(said.len(), 1, "{regex}: {said:?}");
        let path = "rules[0].canary.routes[0].any[0].all[0].is.regex: is ";
        assert!(said[0].starts_with(path), "{said:?}");
    }
    assert_eq!(errors(at, json!("a".repeat(MAX_REGEX + 1))).len(), 1);
    assert_eq!(errors(at, json!("(?i)[a-z]{1,20}|é+")), [""; 0]);
}

#[test]
fn unknown_fields_and_other_json_are_refused() {
    assert_eq!(
        errors("/proxy", json!({"workload": "a", "namespace": "b", "x": 1})).len(),
        1
    );
    for json in [&b""[..], b"[]", b"null", b"\xff", b"{"] {
        assert!(FilterConfig::from_json(json).is_err());
    }
    let long = vec![b' '; MAX_CONFIG + 1];
    let said = FilterConfig::from_json(&long).unwrap_err().to_string();
    assert_eq!(said, "config: has 1400001 bytes, expected at most 1400000");
}

#[test]
fn limits_hold_for_all_rules_together() {
    let condition = json!({"on": "path", "is": {"regex": "a"}});
    let any = json!(vec![
        json!({"all": vec![condition; MAX_ALL]});
        MAX_REGEXES / MAX_ALL
    ]);
    assert_eq!(errors("/rules/0/canary/routes/0/any", any.clone()), [""; 0]);
    let mut more = any;
    more[0]["all"][0] = json!({"on": "path", "is": "present"});
    let extra = json!({"all": [{"on": "path", "is": {"regex": "a"}}, {"on": "path", "is": {"regex": "b"}}]});
    more.as_array_mut().unwrap().push(extra);
    assert_eq!(
        errors("/rules/0/canary/routes/0/any", more),
        ["rules[].canary.routes[].any[].all[].is.regex: has 257 entries, expected at most 256"]
    );
}

#[test]
fn idle_is_what_neither_routes_nor_counts() {
    let idle = |change: fn(&mut Value)| {
        let mut config = sound();
        change(&mut config);
        FilterConfig::from_json(config.to_string().as_bytes())
            .unwrap()
            .is_idle()
    };
    assert!(!idle(|_| {}));
    assert!(idle(|config| config["rules"] = json!([])));
    assert!(!idle(|config| {
        config["rules"] = json!([]);
        config["istioMetrics"] = json!(true);
    }));
    assert!(idle(|config| {
        config["rules"] = json!([]);
        config["role"] = json!("destination");
    }));
    assert!(!idle(|config| {
        config["rules"] = json!([]);
        config["role"] = json!("destination");
        config["proxy"]["pod"] = json!({
            "rollout": "checkout", "revision": "aaa", "variant": "stable", "service": "checkout"});
    }));
}

#[test]
fn what_is_given_out_is_what_is_taken_in() {
    let mut config = FilterConfig::from_json(sound().to_string().as_bytes()).unwrap();
    let json = config.to_json().unwrap();
    assert_eq!(FilterConfig::from_json(json.as_bytes()), Ok(config.clone()));

    config.rules[0].stable = String::new();
    let told = config.to_json().unwrap_err();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(FilterConfig::from_json(json.as_bytes()), Err(told));

    config.rules[0].hosts = (0..40_000)
        .map(|i| format!("a-host-with-a-long-name-{i}.shop"))
        .collect();
    let told = config.to_json().unwrap_err().to_string();
    assert!(
        told.contains("config: has ") && told.contains("expected at most 1400000"),
        "{told}"
    );
}

#[test]
fn a_configuration_for_many_proxies_becomes_that_of_each() {
    let document = json!({
        "version": 1, "generation": 7, "name": "mesh", "role": "destination",
        "pods": [{"namespace": "web", "rollout": "cart", "stable": "b"},
                 {"namespace": "web", "rollout": "shop", "service": "store", "stable": "a",
                  "canary": "c"}],
    });
    let all = FilterConfig::from_json(document.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(&all).unwrap()["proxy"], Value::Null);
    assert!(!all.is_idle());
    let node = |workload: &str, namespace: &str, revision: &str| Node {
        workload: workload.into(),
        namespace: namespace.into(),
        revision: revision.into(),
    };
    let own = all.clone().at(&node("any", "web", "b"));
    let pod = json!({"rollout": "cart", "revision": "b", "variant": "stable", "service": "cart"});
    let expected = json!({"workload": "cart", "namespace": "web", "pod": pod});
    assert_eq!(serde_json::to_value(&own.proxy).unwrap(), expected);
    let canary = all.clone().at(&node("any", "web", "c"));
    let pod = json!({"rollout": "shop", "revision": "c", "variant": "canary", "service": "store"});
    let expected = json!({"workload": "shop-canary", "namespace": "web", "pod": pod});
    assert_eq!(serde_json::to_value(&canary.proxy).unwrap(), expected);
    let elsewhere = all.clone().at(&node("any", "edge", "c"));
    assert_eq!(elsewhere.proxy.pod, None);
    assert!(own.pods.is_empty() && !own.is_idle());
    let other = all.clone().at(&node("cart", "web", ""));
    assert_eq!((&*other.proxy.workload, &other.proxy.pod), ("cart", &None));
    assert!(other.is_idle());
    let named = own.clone().at(&node("cart", "web", "a"));
    assert_eq!(named, own);
    let unknown = all.at(&node("a b", "", "d"));
    assert_eq!(
        (&*unknown.proxy.workload, &*unknown.proxy.namespace),
        ("unknown", "unknown")
    );
}

#[test]
fn pods_are_told_apart_by_those_who_are_not_named_alone() {
    let document = json!({
        "version": 1, "generation": 7, "name": "mesh", "role": "destination",
        "proxy": {"workload": "shop", "namespace": "web"},
        "pods": [{"namespace": "web", "rollout": "shop", "stable": "a", "canary": "a b"}],
    });
    let refused = FilterConfig::from_json(document.to_string().as_bytes()).unwrap_err();
    let told = refused.to_string();
    assert!(
        told.contains("pods: has entries, expected none beside a proxy"),
        "{told}"
    );
    assert!(told.contains("pods[0].canary: is \"a b\""), "{told}");
}

#[test]
fn a_services_name_stands_for_all_its_forms() {
    let mut config = sound();
    config["proxy"].take();
    config.as_object_mut().unwrap().remove("proxy");
    config["rules"][0]["hosts"] = json!(["pay.example.com"]);
    config["rules"][0]["names"] = json!(["checkout"]);
    let config = FilterConfig::from_json(config.to_string().as_bytes()).unwrap();
    let hosts = |namespace: &str| {
        let node = Node {
            namespace: namespace.into(),
            ..Node::default()
        };
        let FilterConfig { mut rules, .. } = config.clone().at(&node);
        rules.remove(0).hosts
    };
    let everywhere = [
        "checkout.shop",
        "checkout.shop.svc",
        "checkout.shop.svc.cluster.local",
        "pay.example.com",
    ];
    assert_eq!(hosts("edge"), everywhere);
    assert_eq!(hosts("shop")[0], "checkout");
    assert_eq!(hosts("shop")[1..], everywhere);
}

#[test]
fn the_same_name_in_two_namespaces_is_two_services() {
    let mut config = sound();
    config.as_object_mut().unwrap().remove("proxy");
    config["rules"][0]["hosts"] = json!([]);
    config["rules"][0]["names"] = json!(["checkout"]);
    let mut other = config["rules"][0].clone();
    other["namespace"] = json!("lab");
    config["rules"].as_array_mut().unwrap().push(other);
    let config = FilterConfig::from_json(config.to_string().as_bytes()).unwrap();
    let node = Node {
        namespace: "lab".into(),
        ..Node::default()
    };
    let rules = config.at(&node).rules;
    let has = |rule: &Rule| rule.hosts.iter().any(|host| host == "checkout");
    assert_eq!((has(&rules[0]), has(&rules[1])), (false, true));
}

#[test]
fn a_form_of_a_service_is_nobody_elses_host() {
    let mut config = sound();
    let mut other = config["rules"][0].clone();
    other["hosts"] = json!([]);
    other["names"] = json!(["checkout"]);
    config["rules"].as_array_mut().unwrap().push(other);
    let said = FilterConfig::from_json(config.to_string().as_bytes()).unwrap_err();
    assert_eq!(
        said.0[0].to_string(),
        "rules[1].names[0]: is \"checkout.shop.svc.cluster.local\", expected a host that rules[0] \
         does not name"
    );
}

#[test]
fn rules_tell_a_proxy_whose_pod_is_its_own() {
    let mut config = sound();
    config.as_object_mut().unwrap().remove("proxy");
    let config = FilterConfig::from_json(config.to_string().as_bytes()).unwrap();
    let node = Node {
        workload: "checkout".into(),
        namespace: "shop".into(),
        revision: "bbb".into(),
    };
    let proxy = config.at(&node).proxy;
    assert_eq!(proxy.workload, "checkout-canary");
    assert_eq!(proxy.pod.map(|pod| pod.variant), Some(Variant::Canary));
}
