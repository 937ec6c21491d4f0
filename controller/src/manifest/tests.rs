use super::*;
use crate::manifest::pod::Identity;

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop-canary}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: 8080}]}
";

const ROLLOUT: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop, version: v1}}
    spec:
      containers:
      - name: shop
        image: shop:v1
        command: [shop, --listen, $(IP):8080]
        args: [$(VERSION)]
        env:
        - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: VERSION, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['version']\"}}}
        - {name: WHO, value: $(VERSION)@$(IP)}
        ports: [{name: http, containerPort: 8080}]
  strategy:
    canary:
      stableService: shop
      canaryService: shop-canary
      trafficRouting: {plugins: {serin/wasm: {}}}
      steps: [{setWeight: 10}]
";

fn read(files: &[(&str, &str)]) -> Result<Manifests, ManifestErrors> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.to_string(), text.to_string()))
        .collect();
    parse(&files, LocalSecrets::Nowhere)
}

fn errors(files: &[(&str, &str)]) -> Vec<String> {
    let ManifestErrors(errors) = read(files).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_rollout_finds_its_services_in_other_files() {
    let read = read(&[("a.yaml", ROLLOUT), ("b.yaml", SERVICES)]).unwrap();
    let rollout = &read.rollouts[0];
    let stable = rollout.stable.as_ref().unwrap();
    assert_eq!(stable.target(&rollout.pod.ports), Ok(8080));
    assert_eq!(rollout.canary.as_ref().unwrap().name, "shop-canary");
}

#[test]
fn command_and_variables_know_the_replica() {
    let read = read(&[("a.yaml", ROLLOUT), ("b.yaml", SERVICES)]).unwrap();
    let started = read.rollouts[0].pod.invocation(Identity {
        name: "shop-1",
        namespace: "default",
        ip: "127.9.1.1",
    });
    assert_eq!(started.program, "shop");
    assert_eq!(started.args, ["--listen", "127.9.1.1:8080", "v1"]);
    assert_eq!(started.env[2].1, "v1@127.9.1.1");
}

#[test]
fn a_missing_service_is_named_with_what_to_create() {
    let found = errors(&[("a.yaml", ROLLOUT)]);
    assert_eq!(found.len(), 2);
    assert_eq!(
        found[0],
        "a.yaml document 1: spec.strategy.canary.stableService: is \"shop\", expected the name of \
         a Service in these files (add one in namespace default: kind Service, metadata.name \
         shop, spec.selector {app: shop}, spec.ports [{port: 80}])"
    );
}

#[test]
fn a_service_that_reaches_no_pod_is_refused() {
    let other = SERVICES.replacen("{app: shop}", "{app: shed}", 1);
    assert_eq!(
        errors(&[("a.yaml", ROLLOUT), ("b.yaml", &other)]),
        [
            "a.yaml document 1: spec.strategy.canary.stableService: Service default/shop selects \
          app=shed, which spec.template.metadata.labels does not have (the Service would reach no \
          pod of this Rollout)"
        ]
    );
}

#[test]
fn the_document_in_the_file_is_counted() {
    let found = errors(&[("a.yaml", &format!("{SERVICES}---{SERVICES}"))]);
    assert_eq!(
        found,
        [
            "a.yaml document 3: metadata.name: Service default/shop is in a.yaml document 1 already",
            "a.yaml document 4: metadata.name: Service default/shop-canary is in a.yaml document 2 \
             already",
        ]
    );
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    let found = errors(&[("a.yaml", "kind: Service\nkind: Rollout\n")]);
    assert!(
        found[0].contains("duplicate entry with key \"kind\""),
        "{found:?}"
    );
}

#[test]
fn what_is_not_yaml_is_told_with_its_line() {
    let found = errors(&[("a.yaml", "kind: Service\nspec: [\n")]);
    assert!(found[0].contains("a.yaml document 1"), "{found:?}");
    assert!(found[0].contains("line"), "{found:?}");
}

#[test]
fn an_unknown_version_is_refused_and_another_kind_left_alone() {
    let found = errors(&[(
        "a.yaml",
        "apiVersion: v2\nkind: Service\nmetadata: {name: x}\n",
    )]);
    assert_eq!(
        found,
        ["a.yaml document 1: apiVersion: is \"v2\", expected v1"]
    );

    let read = read(&[("a.yaml", "kind: ConfigMap\nmetadata: {name: x}\n")]).unwrap();
    assert_eq!(
        read.notices,
        ["a.yaml: ConfigMap x is left alone, local mode has no use for its kind"]
    );
}

#[test]
fn what_a_process_cannot_have_is_refused_by_its_field() {
    for (from, to, expected) in [
        (
            "command: [shop, --listen, $(IP):8080]",
            "command: null",
            "spec.template.spec.containers[0].command: is missing, expected the program to run (an \
             image cannot be run in local mode)",
        ),
        (
            "image: shop:v1",
            "volumeMounts: [{name: data, mountPath: /data}]",
            "spec.template.spec.containers[0].volumeMounts: is not supported in local mode, \
             expected none (a process sees this machine's files)",
        ),
        (
            "fieldPath: status.podIP",
            "fieldPath: spec.nodeName",
            "spec.template.spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: is \
             \"spec.nodeName\", expected status.podIP, metadata.name, metadata.namespace or \
             metadata.labels['…']",
        ),
    ] {
        let changed = ROLLOUT.replace(from, to);
        let found = errors(&[("a.yaml", &changed), ("b.yaml", SERVICES)]);
        assert_eq!(found, [format!("a.yaml document 1: {expected}")]);
    }
}

/// What is wrong if the Rollout's only step is an analysis with this template.
fn step_analysis(template: &str) -> Vec<String> {
    let step = "{analysis: {templates: [{templateName: t}]}}";
    let rollout = ROLLOUT.replace("{setWeight: 10}", step);
    let head = "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: {name: t}\n";
    errors(&[
        ("a.yaml", &rollout),
        ("b.yaml", SERVICES),
        ("c.yaml", &format!("{head}{template}")),
    ])
}

#[test]
fn an_analysis_whose_argument_has_no_value_is_refused() {
    let found = step_analysis(
        "spec:
  args: [{name: host}]
  metrics: [{name: m, provider: {prometheus: {query: \"up{h='{{args.host}}'}\"}}}]
",
    );
    assert_eq!(
        found,
        [
            "a.yaml document 1: spec.strategy.canary.steps[0].analysis: args.host was not resolved \
          (give it a value in the Rollout's args)"
        ]
    );
}

#[test]
fn a_step_whose_analysis_never_ends_is_refused() {
    let found = step_analysis(
        "spec: {metrics: [{name: m, interval: 5s, provider: {prometheus: {query: up}}}]}",
    );
    assert_eq!(
        found,
        [
            "a.yaml document 1: spec.strategy.canary.steps[0].analysis: metric \"m\" has an \
          interval and no count and runs indefinitely, expected a count in the analysis of a step"
        ]
    );
}

#[test]
fn a_service_of_two_rollouts_is_refused_with_both_names() {
    let second = ROLLOUT
        .replace("metadata: {name: shop}", "metadata: {name: back}")
        .replace("canaryService: shop-canary", "canaryService: back-canary");
    let service = SERVICES.replacen("name: shop}", "name: back-canary}", 1);
    let service = service.split("---").next().unwrap().to_string();
    let found = errors(&[
        ("a.yaml", ROLLOUT),
        ("b.yaml", SERVICES),
        ("c.yaml", &second),
        ("d.yaml", &service),
    ]);
    assert_eq!(
        found,
        [
            "c.yaml document 1: spec.strategy.canary.stableService: is a Service that Rollout \
          default/shop has already, expected one of Rollout default/back's own"
        ]
    );
}

#[test]
fn a_service_whose_name_is_no_dns_label_is_refused() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: Shop.One}\nspec: {selector: {a: \
                   b}, ports: [{port: 80}]}\n";
    assert_eq!(
        errors(&[("a.yaml", service)]),
        [
            "a.yaml document 1: metadata.name: is \"Shop.One\", expected a DNS label (a-z, 0-9 and \
          - inside, at most 63 characters)"
        ]
    );
}

#[test]
fn a_misspelt_field_is_refused_with_the_likely_name() {
    for (from, to, expected) in [
        ("targetPort: http", "targetport: http", "targetPort"),
        (
            "containerPort: 8080",
            "containerPort: 8080, protcol: TCP",
            "protocol",
        ),
        ("image: shop:v1", "readinessprobe: {}", "readinessProbe"),
    ] {
        let (rollout, services) = (ROLLOUT.replace(from, to), SERVICES.replace(from, to));
        let found = errors(&[("a.yaml", &rollout), ("b.yaml", &services)]);
        let hint = format!("(did you mean {expected}?)");
        assert!(found.iter().any(|error| error.contains(&hint)), "{found:?}");
    }
}

#[test]
fn what_is_left_out_of_a_rollout_is_told_with_that_rollout_alone() {
    let rollout = |name: &str, more: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: {name}}}\nspec:\n  \
             selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    \
             metadata: {{labels: {{app: {name}}}}}\n    \
             spec: {{{more}containers: [{{name: {name}, command: [{name}]}}]}}\n  \
             strategy: {{canary: {{steps: [{{setWeight: 10}}, {{pause: {{}}}}]}}}}\n"
        )
    };
    let shop = rollout("shop", "initContainers: [{name: first}], ");
    let cart = rollout("cart", "");
    let read = read(&[("a.yaml", &shop), ("b.yaml", &cart)]).unwrap();
    let notices: Vec<&[String]> = read.rollouts.iter().map(|r| &r.plan.notices[..]).collect();
    assert_eq!(notices[0].len(), 1, "{notices:?}");
    assert!(notices[0][0].contains("initContainers"), "{notices:?}");
    assert!(notices[1].is_empty(), "{notices:?}");
    assert!(read.notices.is_empty(), "{:?}", read.notices);
}

/// Another Rollout and its Services, with these parts in place of the first one's.
fn another(name: &str, wasm: &str, steps: &str) -> String {
    format!("{ROLLOUT}\n---\n{SERVICES}")
        .replace(
            "metadata: {name: shop",
            &format!("metadata: {{name: {name}"),
        )
        .replace("Service: shop", &format!("Service: {name}"))
        .replace("serin/wasm: {}", &format!("serin/wasm: {wasm}"))
        .replace("steps: [{setWeight: 10}]", &format!("steps: {steps}"))
}

#[test]
fn a_host_of_two_rollouts_is_refused_with_both_names() {
    let steps = "[{setWeight: 10}]";
    let first = another(
        "first",
        "{hosts: [shop.example.com, first.example.com]}",
        steps,
    );
    let second = another("second", "{hosts: [Shop.example.com]}", steps);
    assert_eq!(
        errors(&[("a.yaml", &first), ("b.yaml", &second)]),
        [
            "b.yaml document 1: spec.strategy.canary.trafficRouting.plugins[serin/wasm].hosts[0]: \
             is \"shop.example.com\", which Rollout default/first has already, expected one of \
             Rollout default/second's own"
        ]
    );
}

#[test]
fn rollouts_that_are_beyond_a_proxys_limits_together_are_refused() {
    let matches: Vec<String> = (0..60)
        .map(|i| format!("{{headerName: h{i}, headerValue: {{regex: \"a{i}.*\"}}}}"))
        .collect();
    let route = |i: u32| {
        let matches = matches.join(", ");
        format!("{{setHeaderRoute: {{name: r{i}, match: [{matches}]}}}}")
    };
    // Each has 180 regular expressions in force at its third step, and none at its last.
    let steps = format!(
        "[{}, {}, {}, {}]",
        route(1),
        route(2),
        route(3),
        "{setHeaderRoute: {name: r1}}, {setHeaderRoute: {name: r2}}, {setHeaderRoute: {name: r3}}"
    );
    let first = another("first", "{hosts: [a]}", &steps);
    let second = another("second", "{hosts: [b]}", &steps);
    read(&[("a.yaml", &first)]).unwrap();
    let told = errors(&[("a.yaml", &first), ("b.yaml", &second)]).join("\n");
    assert!(
        told.starts_with("b.yaml document 1: the Rollouts together: ")
            && told.contains("has 360 entries, expected at most 256"),
        "{told}"
    );
}

#[test]
fn of_several_ports_the_one_that_says_http_is_served_and_the_rest_are_told() {
    let first = "ports: [{port: 80, targetPort: http}]";
    let several =
        "ports: [{name: metrics, port: 9100}, {name: http-web, port: 80, targetPort: 8080}]";
    let services = SERVICES.replace(first, several);
    let found = read(&[("a.yaml", ROLLOUT), ("b.yaml", &services)]).unwrap();
    let rollout = &found.rollouts[0];
    let stable = rollout.stable.as_ref().unwrap();
    assert_eq!(stable.target(&rollout.pod.ports), Ok(8080));
    assert_eq!(
        rollout.plan.notices,
        [
            "Service shop: local mode serves spec.ports[1] and not port 9100 (the first with \
             appProtocol http, or whose name begins with http, is the one)"
        ]
    );

    let wrong = SERVICES.replace(first, "ports: [{port: 80}, {port: 0}]");
    assert_eq!(
        errors(&[("a.yaml", ROLLOUT), ("b.yaml", &wrong)]),
        ["b.yaml document 1: spec.ports[1].port: is 0, expected a whole number from 1 to 65535"]
    );
}

const TEMPLATE: &str = "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  args:
  - name: token
    valueFrom: {secretKeyRef: {name: tokens, key: prom}}
  metrics:
  - name: errors
    successCondition: result[0] < 1
    provider: {prometheus: {query: up, headers: [{key: a, value: '{{args.token}}'}]}}
";

fn judged() -> String {
    let analysis = "steps: [{analysis: {templates: [{templateName: errors}]}}]";
    ROLLOUT.replace("steps: [{setWeight: 10}]", analysis)
}

#[test]
fn the_traps_of_the_templates_it_uses_are_notices_of_a_rollout() {
    let texts = [judged(), SERVICES.to_string(), TEMPLATE.to_string()];
    let files = texts.map(|text| ("a.yaml".to_string(), text));
    let read = parse(&files, LocalSecrets::InFile).unwrap();
    let [notice] = &read.rollouts[0].plan.notices[..] else {
        panic!("{:?}", read.rollouts[0].plan.notices);
    };
    let told = "AnalysisTemplate errors: spec.metrics[0].successCondition: is an Error while the";
    assert!(notice.starts_with(told), "{notice}");
}

#[test]
fn secrets_need_the_file_that_is_named_where_they_are_missed() {
    let files = [
        ("a.yaml", &*judged()),
        ("b.yaml", SERVICES),
        ("c.yaml", TEMPLATE),
    ];
    let [only] = &errors(&files)[..] else {
        panic!("{:?}", errors(&files));
    };
    assert!(only.contains("serin local --secrets FILE"), "{only}");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: tokens}\n";
    let read = read(&[
        ("a.yaml", ROLLOUT),
        ("b.yaml", SERVICES),
        ("s.yaml", secret),
    ])
    .unwrap();
    assert_eq!(
        read.notices,
        [
            "s.yaml: Secret tokens is left alone, local mode takes Secrets from the file of --secrets"
        ]
    );
}
