//! Header routes and mirror routes.

use serde_json::{Value, json};
use serin_core::plan::{MirrorMatch, MirrorRoute, TextMatch};
use serin_core::wire::{AllOf, HeaderRoute, Test};

use super::{Case, header_route, on_header, to_hosts, to_subsets};

fn mirror_route(name: &str) -> MirrorRoute {
    let conditions = MirrorMatch {
        method: Some(TextMatch::Exact("GET".into())),
        path: Some(TextMatch::Prefix("/api".into())),
        headers: [("x-agent".to_string(), TextMatch::Regex("curl.*".into()))].into(),
    };
    MirrorRoute {
        name: name.into(),
        any: vec![conditions, MirrorMatch::default()],
        percentage: 35,
    }
}

fn main(stable: u64, canary: u64) -> Value {
    json!({"name": "main", "timeout": "5s", "route": to_hosts(stable, canary)})
}

fn names(spec: &Value) -> Vec<&str> {
    let routes = spec["http"].as_array().unwrap().iter();
    routes.filter_map(|route| route["name"].as_str()).collect()
}

#[test]
fn any_header_of_a_header_route_will_do() {
    let one = |name, is| AllOf {
        all: vec![on_header(name, is)],
    };
    let route = HeaderRoute {
        name: "first".into(),
        any: vec![
            one("x-user", Test::Exact("me".into())),
            one("user-agent", Test::Regex(".*Firefox.*".into())),
            one("x-team", Test::Prefix("web-".into())),
        ],
    };
    let written = Case::hosts(0)
        .header(route)
        .spec(json!({"http": [main(100, 0)]}));
    let expected = json!({
        "name": "first",
        "timeout": "5s",
        "match": [
            {"headers": {"x-user": {"exact": "me"}}},
            {"headers": {"user-agent": {"regex": ".*Firefox.*"}}},
            {"headers": {"x-team": {"prefix": "web-"}}},
        ],
        "route": [{"destination": {"host": "shop-canary"}, "weight": 100}],
    });
    assert_eq!(written, json!({"http": [expected, main(100, 0)]}));
}

#[test]
fn headers_of_one_match_hold_together() {
    let both = AllOf {
        all: vec![
            on_header("x-user", Test::Exact("me".into())),
            on_header("x-team", Test::Exact("web".into())),
        ],
    };
    let route = HeaderRoute {
        name: "first".into(),
        any: vec![both],
    };
    let written = Case::hosts(0)
        .header(route)
        .spec(json!({"http": [main(100, 0)]}));
    let expected = json!([{"headers": {"x-user": {"exact": "me"}, "x-team": {"exact": "web"}}}]);
    assert_eq!(written["http"][0]["match"], expected);
}

#[test]
fn a_header_route_sends_to_the_canary_as_the_user_wrote_it() {
    let by_host = json!([
        {"destination": {"host": "shop"}, "weight": 100},
        {"destination": {"host": "shop-canary.web.svc.cluster.local", "port": {"number": 80}}},
    ]);
    let by_subset = json!([
        {"destination": {"host": "shop", "subset": "stable", "port": {"number": 80}}, "weight": 100},
        {"destination": {"host": "shop", "subset": "canary", "port": {"number": 80}}},
    ]);
    for (case, mut destinations) in [(Case::hosts(0), by_host), (Case::subsets(0), by_subset)] {
        let headers = json!({"request": {"set": {"x-version": "canary"}}});
        destinations[1]["headers"] = headers.clone();
        let case = case.header(header_route("first", "yes"));
        let written = case.spec(json!({"http": [{"route": destinations}]}));
        let destination = &destinations[1]["destination"];
        let expected = json!([{"destination": destination, "headers": headers, "weight": 100}]);
        assert_eq!(written["http"][0]["route"], expected);
    }
}

#[test]
fn a_mirror_route_copies_to_the_canary_and_answers_as_all_others() {
    let case = Case::hosts(20).mirror(mirror_route("first"));
    let mut user = main(100, 0);
    user["route"][1]["destination"]["port"] = json!({"number": 80});
    let mut written = user.clone();
    written["route"][0]["weight"] = 80.into();
    written["route"][1]["weight"] = 20.into();
    let expected = json!({
        "name": "first",
        "timeout": "5s",
        "match": [
            {"method": {"exact": "GET"}, "uri": {"prefix": "/api"},
             "headers": {"x-agent": {"regex": "curl.*"}}},
            {},
        ],
        "route": written["route"],
        "mirror": {"host": "shop-canary", "port": {"number": 80}},
        "mirrorPercentage": {"value": 35},
    });
    assert_eq!(
        case.spec(json!({"http": [user]})),
        json!({"http": [expected, written]})
    );
}

#[test]
fn a_mirror_route_follows_the_weights() {
    let case = |percent| Case::hosts(percent).mirror(mirror_route("first"));
    let at_20 = case(20).spec(json!({"http": [main(100, 0)]}));
    let at_40 = case(40).spec(at_20);
    assert_eq!(at_40["http"][0]["route"], to_hosts(60, 40));
}

#[test]
fn a_mirror_route_may_copy_to_a_subset() {
    let case = Case::subsets(0).mirror(mirror_route("first"));
    let written = case.spec(json!({"http": [{"route": to_subsets(100, 0)}]}));
    let expected = json!({"host": "shop", "subset": "canary"});
    assert_eq!(written["http"][0]["mirror"], expected);
}

#[test]
fn managed_routes_stand_before_the_route_they_take_from_in_their_order() {
    let case = Case::hosts(20)
        .routes(&["main"])
        .mirror(mirror_route("first"))
        .header(header_route("second", "yes"));
    let other = json!({"name": "other", "redirect": {"uri": "/"}});
    let written = case.spec(json!({"http": [other, {"name": "second"}, main(100, 0)]}));
    assert_eq!(names(&written), ["other", "first", "second", "main"]);
}

#[test]
fn a_managed_route_is_the_users_route_with_more_to_match() {
    let user = json!({
        "name": "main",
        "match": [
            {"uri": {"prefix": "/shop"}, "headers": {"x-team": {"exact": "web"}}},
            {"port": 8080, "withoutHeaders": {"X-Canary": {}, "x-bot": {}}},
        ],
        "rewrite": {"uri": "/"}, "timeout": "5s", "retries": {"attempts": 2},
        "corsPolicy": {"allowMethods": ["GET"]}, "headers": {"response": {"remove": ["a"]}},
        "mirror": {"host": "audit"}, "mirrorPercentage": {"value": 1},
        "route": to_hosts(100, 0),
    });
    let case = Case::hosts(20)
        .header(header_route("first", "yes"))
        .mirror(mirror_route("second"));
    let written = case.spec(json!({"http": [user]}));
    let mut header = user.clone();
    header["name"] = json!("first");
    header["match"] = json!([
        {"uri": {"prefix": "/shop"},
         "headers": {"x-team": {"exact": "web"}, "x-canary": {"exact": "yes"}}},
        {"port": 8080, "withoutHeaders": {"x-bot": {}},
         "headers": {"x-canary": {"exact": "yes"}}},
    ]);
    header["route"] = json!([{"destination": {"host": "shop-canary"}, "weight": 100}]);
    assert_eq!(written["http"][0], header);
    let mut mirror = user.clone();
    mirror["name"] = json!("second");
    mirror["match"] = json!([
        {"uri": {"prefix": "/shop"}, "method": {"exact": "GET"},
         "headers": {":path": {"prefix": "/api"}, "x-team": {"exact": "web"},
                     "x-agent": {"regex": "curl.*"}}},
        {"uri": {"prefix": "/api"}, "method": {"exact": "GET"}, "port": 8080,
         "withoutHeaders": {"X-Canary": {}, "x-bot": {}},
         "headers": {"x-agent": {"regex": "curl.*"}}},
        {"uri": {"prefix": "/shop"}, "headers": {"x-team": {"exact": "web"}}},
        {"port": 8080, "withoutHeaders": {"X-Canary": {}, "x-bot": {}}},
    ]);
    mirror
        .as_object_mut()
        .unwrap()
        .retain(|field, _| !field.starts_with("mirror"));
    mirror["mirrors"] = json!([
        {"destination": {"host": "audit"}, "percentage": {"value": 1}},
        {"destination": {"host": "shop-canary"}, "percentage": {"value": 35}},
    ]);
    mirror["route"] = to_hosts(80, 20);
    assert_eq!(written["http"][1], mirror);
}

#[test]
fn a_route_for_others_of_the_same_header_stays_theirs() {
    let user = json!({
        "match": [{"method": {"exact": "GET"}, "headers": {"X-Canary": {"exact": "no"}},
                   "withoutHeaders": {"x-canary": {"exact": "blocked"}}}],
        "route": to_hosts(100, 0),
    });
    let case = Case::hosts(0)
        .header(header_route("first", "yes"))
        .mirror(mirror_route("second"));
    let written = case.spec(json!({"http": [user]}));
    let expected = json!([{"method": {"exact": "GET"}, "headers": {"x-canary": {"exact": "yes"}},
                           "withoutHeaders": {"x-canary": {"exact": "blocked"}}}]);
    assert_eq!(written["http"][0]["match"], expected);
    let method = &written["http"][1]["match"][0]["headers"][":method"];
    assert_eq!(*method, json!({"exact": "GET"}));
}

#[test]
fn mirrors_of_the_users_stay() {
    let audit = json!({"destination": {"host": "audit"}, "percentage": {"value": 1}});
    let user = json!({"mirrors": [audit], "route": to_hosts(100, 0)});
    let case = Case::hosts(0).mirror(mirror_route("first"));
    let written = case.spec(json!({"http": [user]}));
    let own = json!({"destination": {"host": "shop-canary"}, "percentage": {"value": 35}});
    assert_eq!(written["http"][0]["mirrors"], json!([audit, own]));
    assert_eq!(written["http"][0]["mirror"], Value::Null);
}

#[test]
fn each_route_that_is_named_has_a_managed_one_of_its_kind() {
    let case = Case::hosts(0)
        .routes(&["b", "a", "c"])
        .header(header_route("first", "yes"));
    let route = |name: &str, path: &str| json!({"name": name, "match": [{"uri": {"exact": path}}], "route": to_hosts(100, 0)});
    // Those of `a` and `c` would be alike.
    let written =
        case.spec(json!({"http": [route("a", "/1"), route("b", "/2"), route("c", "/1")]}));
    assert_eq!(names(&written), ["first", "a", "first", "b", "c"]);
    let path = |index: usize| &written["http"][index]["match"][0]["uri"]["exact"];
    assert_eq!((path(0), path(2)), (&json!("/1"), &json!("/2")));
}

#[test]
fn a_managed_route_that_is_over_goes() {
    let in_force = Case::hosts(20)
        .header(header_route("first", "yes"))
        .header(header_route("second", "no"));
    let written = in_force.spec(json!({"http": [main(100, 0)]}));
    assert_eq!(names(&written), ["first", "second", "main"]);
    let one_left = Case::hosts(20).header(header_route("second", "no"));
    let written = one_left.spec(written);
    assert_eq!(names(&written), ["second", "main"]);
    let mut over = Case::hosts(20);
    over.traffic.canary = None;
    assert_eq!(over.spec(written), json!({"http": [main(100, 0)]}));
}

#[test]
fn a_managed_route_that_somebody_changed_or_doubled_is_written_anew() {
    let case = Case::hosts(20).header(header_route("first", "yes"));
    let right = case.spec(json!({"http": [main(100, 0)]}));
    let mut wrong = right.clone();
    wrong["http"][0]["match"] = json!([{"headers": {"x-canary": {"exact": "no"}}}]);
    let stale = wrong["http"][0].clone();
    wrong["http"].as_array_mut().unwrap().push(stale);
    assert_eq!(case.spec(wrong), right);
}

#[test]
fn what_argos_controller_wrote_in_the_middle_of_a_release_stays() {
    let hosts = json!({"http": [
        {"name": "first", "match": [{"headers": {"x-canary": {"exact": "yes"}}}],
         "route": [{"destination": {"host": "shop-canary"}, "weight": 100}]},
        {"name": "second", "match": [
            {"method": {"exact": "GET"}, "uri": {"prefix": "/api"},
             "headers": {"x-agent": {"regex": "curl.*"}}}, {}],
         "route": to_hosts(80, 20), "mirror": {"host": "shop-canary"},
         "mirrorPercentage": {"value": 35}},
        {"name": "main", "route": to_hosts(80, 20)},
    ]});
    let managed = |case: Case| {
        case.header(header_route("first", "yes"))
            .mirror(mirror_route("second"))
    };
    assert_eq!(managed(Case::hosts(20)).spec(hosts.clone()), hosts);
    let port = json!({"number": 80});
    let canary = json!({"host": "shop", "subset": "canary", "port": port});
    let mut destinations = to_subsets(80, 20);
    for index in [0, 1] {
        destinations[index]["destination"]["port"] = port.clone();
    }
    let subsets = json!({"http": [
        {"name": "first", "match": [{"headers": {"x-canary": {"exact": "yes"}}}],
         "route": [{"destination": canary, "weight": 100}]},
        {"route": destinations},
    ]});
    let case = Case::subsets(20).header(header_route("first", "yes"));
    assert_eq!(case.spec(subsets.clone()), subsets);
}
