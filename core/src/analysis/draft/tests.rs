use super::*;
use proptest::prelude::*;
use serde_json::json;

/// A run with one metric that takes a token from a Secret.
fn with_secret(more: Value) -> Draft {
    let mut metric = json!({"name": "m", "provider": {"prometheus": {
        "query": "up{job=\"{{args.job}}\"}",
        "headers": [{"key": "Authorization", "value": "Bearer {{ args.token }}"}],
    }}});
    let (Value::Object(fields), Value::Object(more)) = (&mut metric, more) else {
        panic!("objects");
    };
    fields.extend(more);
    Draft::read(&json!({
        "metrics": [metric], "terminate": false, "ttlStrategy": {},
        "args": [
            {"name": "job", "value": "shop"},
            {"name": "token", "value": "left", "valueFrom": {
                "secretKeyRef": {"name": "tokens", "key": "prom"}}},
            {"name": "other", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}},
        ],
    }))
    .unwrap()
}

fn token() -> SecretKey {
    SecretKey {
        name: "tokens".into(),
        key: "prom".into(),
    }
}

fn header(provider: &Provider) -> &str {
    let Provider::Prometheus(query) = provider else {
        panic!("{provider:?}");
    };
    &query.headers[0].value
}

#[test]
fn a_secret_is_filled_in_for_a_measurement_only() {
    let draft = with_secret(json!({}));
    let spec = draft.spec().unwrap();
    let provider = &spec.metrics[0].provider;
    assert_eq!(header(provider), "Bearer {{args.token}}");
    assert_eq!(
        provider.metadata().get("ResolvedPrometheusQuery").unwrap(),
        "up{job=\"shop\"}"
    );
    assert_eq!(Vec::from_iter(draft.secrets(0)), [&token()]);
    let secrets = [(token(), "hunter2".to_string())].into();
    let provider = draft.provider(0, &secrets).unwrap();
    assert_eq!(header(&provider), "Bearer hunter2");
    let local = |secrets| draft.spec_without_cluster(secrets);
    assert_eq!(local(LocalSecrets::InFile).unwrap(), spec);
    assert!(local(LocalSecrets::Nowhere).is_err());
}

#[test]
fn a_secret_outside_the_provider_is_refused() {
    let draft = with_secret(json!({"successCondition": "result > {{args.token}}"}));
    assert_eq!(
        draft.spec().unwrap_err().to_string(),
        "metric \"m\": {{args.token}} comes from a Secret, expected it in the provider only"
    );
}

#[test]
fn a_secret_that_is_not_there_is_told_by_its_argument() {
    let draft = with_secret(json!({}));
    assert_eq!(
        draft.provider(0, &Secrets::new()).unwrap_err().to_string(),
        "metric \"m\": failed to resolve {{args.token}}"
    );
}

#[test]
fn what_an_object_has_wrong_is_told_with_its_path() {
    let errors = |spec: Value| Draft::read(&spec).unwrap_err().to_string();
    assert_eq!(
        errors(json!({"metrics": [], "args": [{"name": "x"}], "metric": 1})),
        "spec.metric: is 1, expected one of metrics, args, dryRun, measurementRetention, \
         terminate, ttlStrategy (did you mean metrics?)\n\
         spec.args[0].value: is missing, expected a value"
    );
    let by_field = json!({"fieldRef": {"fieldPath": "metadata.name"}});
    assert_eq!(
        errors(json!({"metrics": [], "args": [{"name": "x", "valueFrom": by_field}]})),
        "spec.args[0].valueFrom.fieldRef: is {\"fieldPath\":\"metadata.name\"}, expected one of \
         secretKeyRef\n\
         spec.args[0].valueFrom.secretKeyRef: is missing, expected a key of a Secret"
    );
    let empty = Draft::read(&json!({"metrics": []})).unwrap();
    assert_eq!(
        empty.spec().unwrap_err().to_string(),
        "the templates have no metric, expected at least one"
    );
}

#[test]
fn a_job_is_read_with_its_arguments_and_needs_a_cluster() {
    let container = json!({"name": "c", "args": ["{{args.job}}"]});
    let pod = json!({"spec": {"containers": [container]}});
    let draft = Draft::read(&json!({
        "args": [{"name": "job", "value": "shop"}],
        "metrics": [{"name": "m", "provider": {"job": {
            "metadata": {"labels": {"of": "{{args.job}}"}, "creationTimestamp": null},
            "spec": {"backoffLimit": 1, "template": pod},
        }}}],
    }))
    .unwrap();
    let Provider::Job(job) = draft.spec().unwrap().metrics.remove(0).provider else {
        panic!("a job");
    };
    assert_eq!(job.labels["of"], "shop");
    let container = &job.spec["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["shop"]));
    assert_eq!(
        draft
            .spec_without_cluster(LocalSecrets::InFile)
            .unwrap_err()
            .to_string(),
        "metric \"m\": a Job needs a cluster, expected another provider"
    );
}

proptest! {
    #[test]
    fn a_draft_is_read_as_it_is_written(
        texts in prop::collection::btree_map("[a-z]{1,3}", ".*", 0..3),
        keys in prop::collection::btree_map("[A-Z]{1,3}", ("[a-z]+", "[a-z]+"), 0..3),
        rules in prop::collection::vec("[a-z.*]+", 0..3),
        count in 0..3,
    ) {
        let secret = |(name, key)| ArgValue::Secret(SecretKey { name, key });
        let texts = texts.into_iter().map(|(name, text)| (name, ArgValue::Text(text)));
        let keys = keys.into_iter().map(|(name, key)| (name, secret(key)));
        let draft = Draft {
            metrics: (0..count).map(|n| json!({"name": format!("m{n}")})).collect(),
            args: texts.chain(keys).collect(),
            dry_run: rules.iter().map(|rule| json!({"metricName": rule})).collect(),
            measurement_retention: rules
                .iter()
                .map(|rule| json!({"metricName": rule, "limit": 1}))
                .collect(),
        };
        prop_assert_eq!(Draft::read(&draft.document()).unwrap(), draft);
    }
}
