//! The module and core: what one accepts and decides, the other does too.

use proptest::prelude::*;
use serde_json::{Value, json};
use serin_core::route::{Request, Table};
use serin_core::wire::{
    AllOf, Canary, FilterConfig, HeaderRoute, MAX_CONFIG, MAX_REGEXES, Match, StickyKey, Subject,
    Test, VARIANT_HEADER, Variant,
};
use serin_tests::wasm_host::{Fields, Proxy, value};

fn config(canary: Value) -> Value {
    json!({
        "version": 1, "generation": 1, "name": "g", "role": "source",
        "proxy": {"workload": "g", "namespace": "n"},
        "rules": [{
            "rollout": "r", "namespace": "n", "service": "s", "hosts": ["h"], "stable": "a",
            "canary": canary,
        }],
    })
}

/// Few names and letters, so that conditions and requests meet.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "cookie", "x-user", ":path", "A", ""])
        .prop_map(ToString::to_string)
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        name().prop_map(Subject::Header),
        name().prop_map(Subject::Cookie),
        name().prop_map(Subject::Query),
        Just(Subject::Path),
        Just(Subject::Method),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        "[ab/=]{0,3}".prop_map(Test::Exact),
        "[ab/=]{0,2}".prop_map(Test::Prefix),
        "\\PC{0,2}".prop_map(Test::Suffix),
        "[ab.*+?|()\\[\\]{}^$\\\\]{0,6}".prop_map(Test::Regex),
        Just(Test::Present),
    ]
}

fn route() -> impl Strategy<Value = HeaderRoute> {
    let condition = (subject(), test(), any::<bool>());
    let condition = condition.prop_map(|(on, is, not)| Match { on, is, not });
    let all = prop::collection::vec(condition, 0..3).prop_map(|all| AllOf { all });
    let any = prop::collection::vec(all, 0..3);
    any.prop_map(|any| HeaderRoute {
        name: "r".to_string(),
        any,
    })
}

/// Accepted ones and, now and then, ones to refuse. Without a key the weight is all or nothing, so
/// that no draw is needed.
fn canary() -> impl Strategy<Value = Canary> {
    let sticky = prop_oneof![
        name().prop_map(StickyKey::Header),
        name().prop_map(StickyKey::Cookie),
    ];
    let weight = prop::sample::select(vec![0_u16, 10_000, 10_001]);
    let routes = prop::collection::vec(route(), 0..3);
    (
        weight,
        prop::collection::vec(sticky, 0..3),
        routes,
        ".{0,4}",
    )
        .prop_map(|(weight_bp, sticky, routes, salt)| Canary {
            revision: "b".to_string(),
            weight_bp,
            salt,
            sticky,
            routes,
        })
}

fn request() -> impl Strategy<Value = Fields> {
    let bytes = prop::collection::vec(prop::sample::select(b"ab/=;&?%6\xff ".to_vec()), 0..8);
    let field = (name(), bytes).prop_map(|(name, value)| (name.into_bytes(), value));
    prop::collection::vec(field, 0..6).prop_map(|mut fields| {
        fields.push((b":authority".to_vec(), b"H:80".to_vec()));
        fields
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_filter_accepts_and_decides_as_core_does(canary in canary(), request in request()) {
        let json = config(serde_json::to_value(canary).expect("is JSON")).to_string();
        let core = FilterConfig::from_json(json.as_bytes());
        let mut proxy = Proxy::start();
        let root = proxy.configure(json.as_bytes());
        prop_assert_eq!(root.is_some(), core.is_ok(), "{:?}", core);
        let (Some(root), Ok(config)) = (root, core) else { return Ok(()) };

        let table = Table::compile(&config).expect("is accepted");
        let headers = request.iter().map(|(name, value)| (&name[..], &value[..]));
        let (_, rule) = table.find(b"h").expect("is there");
        let side = rule.choose(&Request::read(headers.clone()), headers, || 0);

        let seen = proxy.send(root, request);
        let written = value(&seen, VARIANT_HEADER);
        prop_assert_eq!(written.is_some(), side == Variant::Canary);
    }
}

#[test]
fn the_largest_configurations_are_accepted() {
    let release = |any: Value| {
        config(json!({"revision": "b", "weightBp": 1, "salt": "",
            "routes": [{"name": "r", "any": any}]}))
    };
    let regex = json!({"on": "path", "is": {"regex": "(?i)[a-z]{200}[0-9]{200}"}});
    let any = vec![json!({"all": vec![regex; 16]}); MAX_REGEXES / 16];
    let regexes = release(json!(any));

    let mut hosts = release(json!([{"all": [{"on": "path", "is": "present"}]}]));
    hosts["rules"][0]["hosts"] = (0..58_000)
        .map(|i| json!(format!("a-host-{i}.shop")))
        .collect();

    for config in [regexes, hosts] {
        let json = config.to_string();
        assert!(json.len() <= MAX_CONFIG, "{}", json.len());
        let core = FilterConfig::from_json(json.as_bytes());
        assert_eq!(core.err(), None);
        let mut proxy = Proxy::start();
        assert!(proxy.configure(json.as_bytes()).is_some());
        assert!(proxy.memory() < 64 << 20, "{}", proxy.memory());
    }
}
