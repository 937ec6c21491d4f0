use super::*;
use crate::field::Report;
use serde_json::{Value, json};

fn read(provider: Value, args: Args) -> Result<Provider, Vec<String>> {
    let report = Report::default();
    let metric = json!({"name": "m", "provider": provider});
    let read = Metric::read(&Field::root("", &metric, &report), args);
    match report.finish(read) {
        Ok(metric) => Ok(metric.provider),
        Err(errors) => Err(errors.0.iter().map(ToString::to_string).collect()),
    }
}

fn well(provider: Value) -> Provider {
    read(provider, Args::Filled).unwrap()
}

/// What is wrong with the one provider `name`, without its path.
fn errors(name: &str, provider: Value) -> Vec<String> {
    let errors = read(json!({name: provider}), Args::Filled).unwrap_err();
    let path = format!("provider.{name}");
    let short = |error: &String| error.strip_prefix(&path).expect(error).to_string();
    errors.iter().map(short).collect()
}

#[test]
fn a_web_query_has_argos_defaults() {
    let Provider::Web(query) = well(json!({"web": {"url": "http://shop/health"}})) else {
        panic!("web");
    };
    assert!(matches!(query.method, WebMethod::Get));
    assert_eq!(query.timeout, Duration::from_secs(10));
    assert_eq!(query.json_path, None);
    assert!(query.headers.is_empty() && !query.insecure && query.authentication.is_none());
}

#[test]
fn a_web_query_is_read_with_its_body() {
    let whole = json!({"web": {
        "url": "https://shop/x", "method": "POST", "timeoutSeconds": 3, "insecure": true,
        "jsonBody": {"a": [1]}, "jsonPath": "{$.data.ok}",
        "headers": [{"key": "X", "value": "1"}],
        "authentication": {"sigv4": {}, "oauth2": {
            "tokenUrl": "https://login/token", "clientId": "me", "clientSecret": "hunter2",
            "scopes": ["read"]}},
    }});
    let provider = well(whole);
    let told = format!("{provider:?}");
    assert!(!told.contains("hunter2"), "{told}");
    let Provider::Web(query) = provider else {
        panic!("web");
    };
    let json = WebBody::Json(json!({"a": [1]}));
    assert!(query.method == WebMethod::Post(Some(json)));
    assert_eq!(query.timeout, Duration::from_secs(3));
    assert_eq!(query.json_path.as_deref(), Some("{$.data.ok}"));
    let Some(Authentication::OAuth2(oauth2)) = query.authentication else {
        panic!("oauth2");
    };
    assert_eq!(oauth2.scopes, ["read"]);
}

#[test]
fn what_makes_no_sense_in_a_web_query_is_refused_by_path() {
    assert_eq!(
        errors("web", json!({"url": "shop", "metod": "GET"})),
        [
            ".metod: is \"GET\", expected one of url, method, headers, body, jsonBody, \
             timeoutSeconds, jsonPath, insecure, authentication (did you mean method?)",
            ".url: is \"shop\", expected a URL such as \"https://example.com/health\"",
        ]
    );
    let wrong = |more: Value| {
        let mut query = json!({"url": "http://shop"});
        let (Some(query_fields), Value::Object(more)) = (query.as_object_mut(), more) else {
            panic!("objects");
        };
        query_fields.extend(more);
        errors("web", query).join("\n")
    };
    assert_eq!(
        wrong(json!({"method": "PATCH"})),
        ".method: is \"PATCH\", expected GET, POST or PUT"
    );
    assert_eq!(
        wrong(json!({"body": "x"})),
        ".body: needs method POST or PUT"
    );
    assert_eq!(
        wrong(json!({"method": "PUT", "body": "x", "jsonBody": {}})),
        ".jsonBody: stands beside body, expected one of them"
    );
    assert!(
        wrong(json!({"jsonPath": "{.a"}))
            .starts_with(".jsonPath: is \"{.a\", expected a JSONPath such as \"{$.data.ok}\": ")
    );
    let both = json!({"basicAuth": {"username": "u"}, "oauth2": {"tokenUrl": "http://t"}});
    assert_eq!(
        wrong(json!({"authentication": both})),
        ".authentication.oauth2: stands beside basicAuth, expected one of them"
    );
    assert_eq!(
        wrong(json!({"authentication": {"oauth2": {"tokenUrl": "t", "clientId": "c"}}})),
        ".authentication.oauth2.tokenUrl: is \"t\", expected a URL such as \
         \"https://login.example.com/oauth2/token\"\n\
         .authentication.oauth2.clientSecret: is missing, expected the client's secret, such as \
         {{args.secret}}"
    );
}

#[test]
fn a_datadog_query_wants_the_keys_of_its_secret() {
    let provider = well(json!({"datadog": {"query": "avg:x{*}"}}));
    let wanted: Vec<_> = provider.secrets().into_iter().collect();
    let key = |key| Wanted::credential("datadog", key);
    assert_eq!(
        wanted,
        [
            key("address").optional().open(),
            key("api-key"),
            key("app-key")
        ]
    );
    let Provider::Datadog(query) = provider else {
        panic!("datadog");
    };
    assert_eq!(query.question, DatadogQuestion::Last("avg:x{*}".into()));
    assert_eq!(query.interval, Duration::from_secs(300));
    assert_eq!(query.timeout, Duration::from_secs(10));
    let own = json!({"query": "x", "secretRef": {"name": "mine", "namespaced": true}});
    let own = well(json!({"datadog": own})).secrets();
    assert!(own.len() == 3 && own.iter().all(|one| one.key.name == "mine"));
}

#[test]
fn datadogs_versions_take_what_is_theirs() {
    let whole = json!({"apiVersion": "v2", "queries": {"a": "x", "b": "y"}, "formula": "a / b",
        "aggregator": "sum", "interval": "30m", "requestTimeout": "30s"});
    let Provider::Datadog(query) = well(json!({"datadog": whole})) else {
        panic!("datadog");
    };
    let queries = [("a", "x"), ("b", "y")].map(|(name, query)| (name.into(), query.into()));
    assert_eq!(
        query.question,
        DatadogQuestion::Scalar {
            queries: queries.into(),
            formula: Some("a / b".into()),
            aggregator: "sum".into(),
        }
    );
    assert_eq!(query.interval, Duration::from_secs(1800));
    let wrong = |query| errors("datadog", query).join("\n");
    assert_eq!(
        wrong(json!({"query": "x", "aggregator": "avg"})),
        ".aggregator: needs apiVersion v2"
    );
    assert_eq!(
        wrong(json!({"apiVersion": "v3", "query": "x"})),
        ".apiVersion: is \"v3\", expected v1 or v2"
    );
    assert_eq!(
        wrong(json!({"apiVersion": "v2"})),
        ".query: is missing, expected a query, or queries"
    );
    assert_eq!(
        wrong(json!({"apiVersion": "v2", "query": "x", "queries": {"a": "x"}})),
        ".queries: stands beside query, expected one of them"
    );
    assert_eq!(
        wrong(json!({"apiVersion": "v2", "query": "x", "formula": "a"})),
        ".formula: needs queries, whose names it holds"
    );
    assert_eq!(
        wrong(json!({"apiVersion": "v2", "queries": {"a": "x", "b": "y"}})),
        ".formula: is missing, expected what becomes of several queries"
    );
    assert_eq!(
        wrong(json!({"apiVersion": "v2", "query": "x", "aggregator": "most"})),
        ".aggregator: is \"most\", expected one of avg, min, max, sum, last, percentile, mean, \
         l2norm, area"
    );
    assert_eq!(
        wrong(json!({"query": "x", "requestTimeout": "0s"})),
        ".requestTimeout: is \"0s\", expected more than no time"
    );
    assert_eq!(
        wrong(json!({"query": "x", "secretRef": {"name": "d", "namespaced": false}})),
        ".secretRef.namespaced: is false, expected true (a Secret is read from the run's own \
         namespace)"
    );
}

#[test]
fn what_argo_takes_for_none_is_none() {
    let empty = json!({"queries": {}, "formula": "", "aggregator": ""});
    let with = |more: Value| {
        let mut all = empty.clone();
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        let Provider::Datadog(query) = well(json!({"datadog": all})) else {
            panic!("datadog");
        };
        query.question
    };
    assert_eq!(
        with(json!({"query": "x"})),
        DatadogQuestion::Last("x".into())
    );
    let scalar = DatadogQuestion::Scalar {
        queries: [("query".to_string(), "x".to_string())].into(),
        formula: None,
        aggregator: "last".into(),
    };
    assert_eq!(with(json!({"apiVersion": "v2", "query": "x"})), scalar);
    well(json!({"web": {"url": "http://shop", "body": ""}}));
}

#[test]
fn a_secret_whose_name_is_no_part_of_a_url_is_refused() {
    let query = json!([{"id": "a", "expression": "1"}]);
    for (provider, fields) in [
        ("newRelic", json!({"query": "q", "profile": "my profile"})),
        ("influxdb", json!({"query": "q", "profile": "../x"})),
        (
            "datadog",
            json!({"query": "q", "secretRef": {"name": "a?b"}}),
        ),
        (
            "cloudWatch",
            json!({"metricDataQueries": query, "secretRef": {"name": "a/b"}}),
        ),
    ] {
        let told = errors(provider, fields).join("\n");
        assert!(
            told.contains("expected the name of a Secret"),
            "{provider}: {told}"
        );
    }
}

#[test]
fn a_new_relic_query_is_read_and_shown() {
    let provider = well(json!({"newRelic": {"query": "SELECT 1"}}));
    assert_eq!(provider.metadata()["ResolvedNewRelicQuery"], "SELECT 1");
    let wanted = provider.secrets().into_iter();
    let keys = wanted.map(|one| (one.key.name, one.key.key, one.optional));
    let key = |key: &str, optional| ("newrelic".to_string(), key.to_string(), optional);
    assert_eq!(
        Vec::from_iter(keys),
        [
            key("account-id", false),
            key("base-url-nerdgraph", true),
            key("personal-api-key", false),
            key("region", true),
        ]
    );
    let Provider::NewRelic(query) = provider else {
        panic!("newRelic");
    };
    assert_eq!(query.timeout, Duration::from_secs(5));
    assert_eq!(
        errors("newRelic", json!({"timeout": -1, "profil": "x"})),
        [
            ".profil: is \"x\", expected one of profile, query, timeout (did you mean profile?)",
            ".timeout: is -1, expected a whole number from 0 to 31536000",
            ".query: is missing, expected a query",
        ]
    );
}

#[test]
fn a_range_is_told_in_expressions() {
    let range = json!({"start": "now() - duration(\"1h\")", "end": "now()", "step": "1m"});
    let prometheus = json!({"prometheus": {"query": "up", "rangeQuery": range}});
    let Provider::Prometheus(PrometheusQuery {
        range: Some(range), ..
    }) = well(prometheus)
    else {
        panic!("a range");
    };
    let now = crate::time::Timestamp(7_200_000);
    let start = crate::time::Timestamp(3_600_000);
    assert_eq!(range.at(now), Ok((start, now)));
    assert_eq!(range.step, Duration::from_secs(60));
    let back = RangeQuery {
        start: "now()".into(),
        end: "now() - duration('1s')".into(),
        ..range
    };
    assert!(back.at(now).unwrap_err().contains("before its end"));
    assert_eq!(
        errors(
            "prometheus",
            json!({"query": "up", "rangeQuery": {"start": "1", "stop": "now()", "step": "0s"}})
        ),
        [
            ".rangeQuery.stop: is \"now()\", expected one of start, end, step (did you mean step?)",
            ".rangeQuery.start: is \"1\", expected a time such as now() - duration(\"1h\"): \
             expected time.Time, but got int",
            ".rangeQuery.end: is missing, expected a time such as now()",
            ".rangeQuery.step: is \"0s\", expected more than no time",
        ]
    );
}

#[test]
fn what_arguments_bring_is_not_known_before_they_are_filled_in() {
    let open = "{{args.x}}";
    for provider in [
        json!({"web": {"url": open, "method": open, "body": open, "jsonPath": open}}),
        json!({"datadog": {"apiVersion": open, "query": open, "aggregator": open,
            "interval": open, "secretRef": {"name": open}}}),
        json!({"newRelic": {"query": open, "profile": open}}),
        json!({"graphite": {"address": open, "query": open}}),
        json!({"influxdb": {"profile": open, "query": open}}),
        json!({"cloudWatch": {"interval": open, "secretRef": {"name": open}, "metricDataQueries": [
            {"id": open, "period": open, "metricStat": {"period": open, "stat": open,
                "unit": open, "metric": {"namespace": open, "metricName": open}}},
            {"id": open, "expression": open},
        ]}}),
        json!({"prometheus": {"query": open, "rangeQuery":
            {"start": open, "end": format!("now() - duration(\"{open}\")"), "step": open}}}),
    ] {
        let read = read(provider.clone(), Args::Open);
        assert!(read.is_ok(), "{provider}: {read:?}");
    }
}

#[test]
fn credentials_come_from_secrets_and_are_never_open() {
    let hidden = |provider: Value| {
        let wanted = well(provider).secrets().into_iter();
        let hidden = wanted.filter(|one| !one.open);
        Vec::from_iter(hidden.map(|one| (one.key.name, one.key.key, one.optional)))
    };
    let key = |name: &str, key: &str, optional| (name.to_string(), key.to_string(), optional);
    assert_eq!(
        hidden(json!({"influxdb": {"query": "q"}})),
        [key("influxdb", "authToken", false)]
    );
    let queries = json!([{"id": "a", "expression": "1"}]);
    assert_eq!(
        hidden(json!({"cloudWatch": {"metricDataQueries": queries, "secretRef": {"name": "aws"}}})),
        [
            key("aws", "accessKeyId", false),
            key("aws", "secretAccessKey", false),
            key("aws", "sessionToken", true),
        ]
    );
    let own = json!({"cloudWatch": {"metricDataQueries": queries}});
    assert_eq!(hidden(own), []);
}

/// What `read` makes of a provider at the path `p`, and its errors.
pub(super) fn read_by<T>(
    provider: Value,
    read: impl Fn(&Field<'_>, Args) -> Option<T>,
) -> (Option<T>, Vec<String>) {
    let report = Report::default();
    let found = read(&Field::root("p", &provider, &report), Args::Filled);
    let errors = match report.finish(Some(())) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    };
    (found, errors)
}

/// The errors of [`read_by`].
pub(super) fn errors_of<T>(
    provider: Value,
    read: impl Fn(&Field<'_>, Args) -> Option<T>,
) -> Vec<String> {
    read_by(provider, read).1
}
