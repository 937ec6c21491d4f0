use super::*;
use crate::wire::{FilterConfig, REGEX_SUBJECT, Variant, WEIGHT_ALL};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Computed with the `xxhash` package for Python, which wraps the reference C code.
#[test]
fn buckets_are_those_of_the_reference_implementation() {
    let check = |salt: &str, key: &[u8], want: u16| {
        assert_eq!(bucket(seed(salt.as_bytes()), key), want, "{salt} {key:?}");
    };
    check("shop/checkout/6f7c9d", b"alice", 1389);
    check("shop/checkout/6f7c9d", b"bob", 3027);
    check("shop/checkout/6f7c9d", b"", 9459);
    check("", b"alice", 9620);
    check("shop/checkout/5b8d4f", b"alice", 6067);
    check("s", b"\xff\xfe\x00", 8294);
    check("s", &[b'k'; 300], 9055);
}

/// Whether a user is in a canary of this weight.
fn is_in(salt: &str, key: &[u8], weight_bp: u16) -> bool {
    bucket(seed(salt.as_bytes()), key) < weight_bp
}

#[test]
fn the_share_of_a_million_keys_is_the_weight() {
    let keys = 1_000_000;
    let seed = seed(b"shop/checkout/6f7c9d");
    let mut below = vec![0_u32; usize::from(WEIGHT_ALL)];
    for key in 0..keys {
        below[usize::from(bucket(seed, format!("user-{key}").as_bytes()))] += 1;
    }
    for weight in [1, 5, 100, 500, 3_333, 5_000, 9_999] {
        let seen: u32 = below[..weight].iter().sum();
        let share = weight as f64 / f64::from(WEIGHT_ALL);
        let expected = f64::from(keys) * share;
        let error = (expected * (1.0 - share)).sqrt();
        let off = (f64::from(seen) - expected).abs();
        assert!(
            off <= 4.0 * error,
            "{weight} bp: {seen}, expected {expected}"
        );
    }
    assert_eq!(below.iter().sum::<u32>(), keys, "at 100 % everybody is in");
}

/// Of the users that one release takes first, another takes its weight's share, no more.
#[test]
fn different_salts_choose_independent_users() {
    let (keys, weight, share) = (200_000, 1_000, 0.1);
    let both = (0..keys)
        .map(|key| format!("user-{key}"))
        .filter(|key| is_in("a", key.as_bytes(), weight) && is_in("b", key.as_bytes(), weight))
        .count();
    let expected = f64::from(keys) * share * share;
    let error = (expected * (1.0 - share * share)).sqrt();
    assert!((both as f64 - expected).abs() <= 4.0 * error, "{both}");
}

proptest! {
    #[test]
    fn a_growing_weight_only_moves_users_to_the_canary(
        salt in ".{0,40}", key in proptest::collection::vec(any::<u8>(), 0..300),
        low in 0..=WEIGHT_ALL, high in 0..=WEIGHT_ALL,
    ) {
        let (low, high) = (low.min(high), low.max(high));
        prop_assert!(!is_in(&salt, &key, low) || is_in(&salt, &key, high));
        prop_assert!(!is_in(&salt, &key, 0));
        prop_assert!(is_in(&salt, &key, WEIGHT_ALL));
    }

    #[test]
    fn any_request_gets_an_answer(
        headers in proptest::collection::vec(
            (":?[a-z-]{0,9}", proptest::collection::vec(any::<u8>(), 0..60)), 0..12),
        draw in any::<u64>(),
    ) {
        let table = Table::compile(&config(json!({
            "weightBp": 5_000, "sticky": [{"cookie": "c"}],
            "routes": [{"name": "r", "any": [
                {"all": [{"on": {"query": "q"}, "is": {"regex": "a+"}, "not": true}]}]}],
        }))).unwrap();
        let headers: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
        let request = Request::read(headers.iter().copied());
        if let Some((_, rule)) = table.find(request.authority) {
            rule.choose(&request, headers.iter().copied(), || draw);
        }
    }
}

#[test]
fn a_draw_below_the_weight_is_canary() {
    let table = Table::compile(&config(json!({"weightBp": 1}))).unwrap();
    let (_, rule) = table.find(b"checkout.shop").unwrap();
    let choose = |draw| rule.choose(&Request::default(), std::iter::empty(), || draw);
    let first = u64::MAX / u64::from(WEIGHT_ALL);
    assert_eq!(choose(0), Variant::Canary);
    assert_eq!(choose(first), Variant::Canary);
    assert_eq!(choose(first + 2), Variant::Stable);
    assert_eq!(choose(u64::MAX), Variant::Stable);
}

#[test]
fn a_decision_tells_its_reason() {
    let table = Table::compile(&config(json!({
        "weightBp": 2_000, "salt": "shop/checkout/6f7c9d",
        "sticky": [{"cookie": "session"}, {"header": "x-user"}],
        "routes": [
            {"name": "one", "any": [{"all": [{"on": {"header": "x-a"}, "is": "present"}]}]},
            {"name": "two", "any": [
                {"all": [{"on": "path", "is": {"prefix": "/b"}}]},
                {"all": [{"on": "method", "is": {"exact": "PUT"}}]}]},
        ],
    })))
    .unwrap();
    let (_, rule) = table.find(b"checkout.shop").unwrap();
    let decide = |headers: &[(&str, &str)]| {
        let headers: Vec<(&[u8], &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        let request = Request::read(headers.iter().copied());
        rule.decide(&request, headers.iter().copied(), || u64::MAX)
    };
    assert_eq!(decide(&[("x-a", "1")]), Reason::Route(0));
    assert_eq!(decide(&[(":method", "PUT")]), Reason::Route(2));
    // The buckets are those of the reference implementation.
    let (key, is_in) = (1, true);
    let alice = Reason::Sticky {
        key,
        bucket: 1389,
        is_in,
    };
    assert_eq!(decide(&[("x-user", "alice")]), alice);
    assert_eq!(alice.variant(), Variant::Canary);
    let (key, is_in) = (0, false);
    let bob = Reason::Sticky {
        key,
        bucket: 3027,
        is_in,
    };
    assert_eq!(
        decide(&[("x-user", "alice"), ("cookie", "session=bob")]),
        bob
    );
    assert_eq!(bob.variant(), Variant::Stable);
    let drawn = Reason::Drawn {
        bucket: 9_999,
        is_in: false,
    };
    assert_eq!(decide(&[("x-user", "")]), drawn);
    let table = Table::compile(&config(json!({}))).unwrap();
    let (_, rule) = table.find(b"checkout.shop").unwrap();
    let none = rule.decide(&Request::default(), std::iter::empty(), || 0);
    assert_eq!(none, Reason::NoShare);
    assert_eq!(
        Rule::default().decide(&Request::default(), std::iter::empty(), || 0),
        Reason::NoCanary
    );
}

/// A validated configuration whose release has these fields.
fn config(canary: Value) -> FilterConfig {
    let mut release = json!({"revision": "b", "weightBp": 0, "salt": ""});
    let fields = canary.as_object().unwrap().clone();
    release.as_object_mut().unwrap().extend(fields);
    let config = json!({
        "version": 1, "generation": 1, "name": "g", "role": "source",
        "proxy": {"workload": "g", "namespace": "shop"},
        "rules": [{"rollout": "checkout", "namespace": "shop", "service": "checkout",
            "hosts": ["checkout.shop"], "stable": "a", "canary": release}],
    });
    FilterConfig::from_json(config.to_string().as_bytes()).unwrap()
}

/// Whether one condition sends a request to the canary.
#[track_caller]
fn check(condition: Value, headers: &[(&str, &[u8])], want: bool) {
    let routes = json!([{"name": "r", "any": [{"all": [condition]}]}]);
    let table = Table::compile(&config(json!({"routes": routes}))).unwrap();
    let headers: Vec<(&[u8], &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), *value))
        .collect();
    let request = Request::read(headers.iter().copied());
    let (_, rule) = table.find(b"checkout.shop").unwrap();
    let side = rule.choose(&request, headers.iter().copied(), || 0);
    assert_eq!(side == Variant::Canary, want);
}

#[test]
fn header_tests_compare_bytes() {
    let on = |is: Value| json!({"on": {"header": "x-h"}, "is": is});
    check(on(json!({"exact": "a"})), &[("x-h", b"a")], true);
    check(on(json!({"exact": "a"})), &[("x-h", b"ab")], false);
    check(on(json!({"exact": "a"})), &[("x-h", b"A")], false);
    check(on(json!({"exact": ""})), &[("x-h", b"")], true);
    check(on(json!({"exact": ""})), &[], false);
    check(on(json!({"prefix": "a"})), &[("x-h", b"a\xff")], true);
    check(on(json!({"suffix": "b"})), &[("x-h", b"\xffb")], true);
    check(on(json!("present")), &[("x-h", b"")], true);
    check(on(json!("present")), &[("x-hh", b"")], false);
}

#[test]
fn of_a_header_that_comes_twice_one_value_is_enough() {
    let is = json!({"on": {"header": "x-h"}, "is": {"exact": "a"}});
    let mut not = is.clone();
    not["not"] = json!(true);
    check(is, &[("x-h", b"b"), ("x-h", b"a")], true);
    check(not.clone(), &[("x-h", b"b"), ("x-h", b"a")], false);
    check(not.clone(), &[("x-h", b"b")], true);
    check(not, &[], true);
}

#[test]
fn a_regular_expression_matches_the_whole_value() {
    let on = |regex: &str| json!({"on": {"header": "x-h"}, "is": {"regex": regex}});
    check(on("a|ab"), &[("x-h", b"ab")], true);
    check(on("a"), &[("x-h", b"ab")], false);
    check(
        on("(?i)chrome/1[0-9]+.*"),
        &[("x-h", b"Chrome/129.0")],
        true,
    );
    check(on(".*"), &[("x-h", b"\xff")], false);
    check(on(".*"), &[("x-h", b"a\nb")], false);
    check(on(""), &[("x-h", b"")], true);
    check(on("a*"), &[("x-h", &[b'a'; REGEX_SUBJECT])], true);
    check(on("a*"), &[("x-h", &[b'a'; REGEX_SUBJECT + 1])], false);
}

#[test]
fn cookies_are_found_in_every_cookie_header() {
    let on = json!({"on": {"cookie": "id"}, "is": {"exact": "1=2"}});
    check(on.clone(), &[("cookie", b"a=b; id=1=2; c")], true);
    check(on.clone(), &[("cookie", b"a=b;id=1=2")], true);
    check(
        on.clone(),
        &[("cookie", b"a=b"), ("cookie", b"id=1=2")],
        true,
    );
    check(on.clone(), &[("cookie", b"xid=1=2; id; =id; id=")], false);
    check(on, &[("set-cookie", b"id=1=2")], false);
}

#[test]
fn path_and_query_are_apart_and_the_query_is_decoded() {
    let path = json!({"on": "path", "is": {"exact": "/a/b"}});
    check(path.clone(), &[(":path", b"/a/b")], true);
    check(path.clone(), &[(":path", b"/a/b?c=/d")], true);
    check(path, &[(":path", b"/a/b/")], false);
    let query = json!({"on": {"query": "k y"}, "is": {"exact": "v&%"}});
    check(query.clone(), &[(":path", b"/?a=b&k%20y=v%26%&c")], true);
    check(query.clone(), &[(":path", b"/?k%20y=v%26%25#k")], true);
    check(query.clone(), &[(":path", b"/?k y=v")], false);
    check(query, &[(":path", b"/k%20y=v%26%")], false);
    let there = json!({"on": {"query": "q"}, "is": "present"});
    check(there.clone(), &[(":path", b"/?q")], true);
    check(there.clone(), &[(":path", b"/?x&q=")], true);
    check(there, &[(":path", b"/?")], false);
}

#[test]
fn the_method_is_compared_as_it_is() {
    let post = json!({"on": "method", "is": {"exact": "POST"}});
    check(post.clone(), &[(":method", b"POST")], true);
    check(post, &[(":method", b"post")], false);
}
