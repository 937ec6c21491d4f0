use super::*;
use serde_json::json;

fn template(spec: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "success-rate", "namespace": "shop"}, "spec": spec,
    })
}

fn prometheus(more: Value) -> Value {
    let mut metric = json!({
        "name": "rate",
        "provider": {"prometheus": {"address": "http://prometheus:9090", "query": "up"}},
    });
    let (Value::Object(metric_fields), Value::Object(more)) = (&mut metric, more) else {
        panic!("an object");
    };
    metric_fields.extend(more);
    metric
}

/// The errors of a template with one metric.
fn errors(metric: Value) -> Vec<String> {
    match Template::parse(&template(&json!({"metrics": [metric]}))) {
        Ok(_) => Vec::new(),
        Err(FieldErrors(errors)) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_template_as_users_write_it_is_read() {
    let document = template(&json!({
        "args": [{"name": "service"}, {"name": "limit", "value": "3"},
                 {"name": "token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "metrics": [prometheus(json!({
            "interval": "5m", "initialDelay": "30s", "count": "{{args.limit}}", "failureLimit": 3,
            "successCondition": "result[0] >= 0.95", "consecutiveErrorLimit": "2",
            "provider": {"prometheus": {
                "address": "{{args.address}}", "query": "up", "timeout": 5, "insecure": true,
                "headers": [{"key": "X-Scope-OrgID", "value": "t"}],
                "authentication": {"basicAuth": {"username": "u", "password": "p"}, "sigv4": {}},
            }},
        }))],
        "dryRun": [{"metricName": ".*"}],
        "measurementRetention": [{"metricName": "rate", "limit": 20}],
        "templates": [{"templateName": "other", "clusterScope": true}],
    }));
    let read = Template::parse(&document).unwrap();
    assert_eq!(
        (read.name.as_str(), read.namespace.as_deref()),
        ("success-rate", Some("shop"))
    );
    assert!(!read.cluster_scope);
    assert_eq!(read.args.len(), 3);
    assert_eq!(
        read.templates,
        [TemplateRef {
            name: "other".into(),
            cluster_scope: true
        }]
    );
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let path = "spec.metrics[0].provider";
    for provider in ["kayenta", "skywalking", "wavefront"] {
        let found = errors(json!({"name": "m", "provider": {provider: {"url": "x"}}}));
        let told = format!("{path}.{provider}: is not supported, expected one of prometheus, ");
        assert!(found.len() == 1 && found[0].starts_with(&told), "{found:?}");
    }
    let refused = |more: Value| {
        let mut query = json!({"query": "up"});
        query
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        errors(json!({"name": "m", "provider": {"prometheus": query}}))
    };
    let sigv4 = json!({"sigv4": {"region": "eu-west-1"}});
    assert_eq!(
        refused(json!({"authentication": sigv4})),
        [format!(
            "{path}.prometheus.authentication.sigv4: is not supported, expected basicAuth, \
             oauth2, or a token in headers"
        )]
    );
    assert_eq!(
        errors(prometheus(json!({"sucessCondition": "true"})))[0]
            .rsplit_once(" (")
            .unwrap()
            .1,
        "did you mean successCondition?)"
    );
}

#[test]
fn rules_of_validation_are_argos() {
    let limits = |more: Value| errors(prometheus(more)).join("\n");
    let count = "spec.metrics[0].count";
    assert_eq!(
        limits(json!({"count": 3})),
        format!("{count}: is 3, expected 1, or an interval beside it")
    );
    assert_eq!(
        limits(json!({"count": 3, "interval": "1s", "failureLimit": 2,
            "consecutiveSuccessLimit": "2"})),
        format!(
            "{count}: is 3, expected at least failureLimit and consecutiveSuccessLimit together, 4"
        )
    );
    assert_eq!(
        limits(json!({"count": 1, "inconclusiveLimit": 2})),
        format!("{count}: is 1, expected at least inconclusiveLimit, 2")
    );
    assert_eq!(
        limits(json!({"failureLimit": -1})),
        "spec.metrics[0].failureLimit: is -1, expected 0 or more (-1 needs a \
         consecutiveSuccessLimit)"
    );
    assert_eq!(
        limits(json!({"failureLimit": -1, "consecutiveSuccessLimit": 2})),
        ""
    );
    assert_eq!(
        limits(json!({"count": "{{args.count}}", "failureLimit": 3})),
        ""
    );
    assert_eq!(limits(json!({"count": 0})), "");
    assert_eq!(limits(json!({"failureLimit": "three"})), "");
    for bad in [
        json!({"count": -1}),
        json!({"count": "-1"}),
        json!({"count": 1.5}),
        json!({"count": "99999999999"}),
        json!({"interval": "soon"}),
        json!({"interval": "0s"}),
        json!({"initialDelay": "-1s"}),
        json!({"inconclusiveLimit": -1}),
        json!({"successCondition": "result["}),
        json!({"failureCondition": 1}),
        json!({"provider": {}}),
        json!({"provider": {"prometheus": {"query": "up", "address": "prometheus:9090"}}}),
        json!({"provider": {"prometheus": {"query": "up", "address": "http://"}}}),
        json!({"provider": {"prometheus": {"query": "up", "timeout": -1}}}),
        json!({"provider": {"prometheus": {"query": ""}}}),
        json!({"provider": {"prometheus": {"query": "up"}, "web": {"url": "x"}}}),
        json!({"provider": {"job": {"url": "x"}}}),
        json!({"provider": {"job": {"spec": {"backoffLimit": 0}}}}),
        json!({"provider": {"job": {"metadata": {"labels": {"a": 1}}, "spec": {"template": {}}}}}),
        json!({"name": ""}),
    ] {
        assert_ne!(limits(bad.clone()), "", "{bad}");
    }
}

#[test]
fn what_is_not_written_has_argos_defaults() {
    let read = |more: Value| {
        let report = crate::field::Report::default();
        let fields = prometheus(more);
        Metric::read(&Field::root("", &fields, &report), Args::Open).unwrap()
    };
    let metric = read(json!({}));
    assert_eq!(metric.effective_count(), Some(1));
    assert_eq!(metric.initial_delay, std::time::Duration::ZERO);
    assert_eq!(metric.failure_limit, Some(0));
    assert_eq!(metric.inconclusive_limit, 0);
    assert_eq!(metric.consecutive_error_limit, 4);
    assert_eq!(metric.consecutive_success_limit, 0);
    assert_eq!(metric.retention, 10);
    let counts = |more: Value| read(more).effective_count();
    assert_eq!(counts(json!({"interval": "5s"})), None);
    assert_eq!(counts(json!({"count": 0})), Some(1));
    assert_eq!(counts(json!({"count": 0, "interval": "5s"})), None);
    assert_eq!(counts(json!({"count": "3", "interval": "5s"})), Some(3));
    assert_eq!(read(json!({"failureLimit": "x"})).failure_limit, Some(0));
    assert_eq!(
        read(json!({"consecutiveErrorLimit": "x"})).consecutive_error_limit,
        0
    );
    let disabled = read(json!({"failureLimit": "-1", "consecutiveSuccessLimit": 1}));
    assert_eq!(disabled.failure_limit, None);
}

#[test]
fn metric_names_are_unique_and_there_is_one() {
    let of = |spec: Value| Template::parse(&template(&spec)).unwrap_err().to_string();
    let metric = prometheus(json!({}));
    assert_eq!(
        of(json!({"metrics": [metric, metric]})),
        "spec.metrics[1].name: is \"rate\", expected a name that no other metric has"
    );
    assert_eq!(
        of(json!({"metrics": []})),
        "spec.metrics: is [], expected at least one metric"
    );
    assert_eq!(
        of(json!({})),
        "spec.metrics: is missing, expected at least one metric"
    );
}
