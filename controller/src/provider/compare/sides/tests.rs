use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let text = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    pairs.iter().map(text).collect()
}

fn filter() -> Sides {
    let counters = Counters::Filter {
        rollout: None,
        revision: None,
        reporter: "source".into(),
        codes: "5..|0".into(),
    };
    let subject = Subject {
        rollout: Some("shop".into()),
        namespace: "web".into(),
        revision: Some("two".into()),
        ..Subject::default()
    };
    Sides::of(&counters, &subject).unwrap()
}

#[test]
fn the_filters_series_are_sorted_by_version_and_code() {
    let sides = filter();
    let selectors = sides.selectors(true);
    assert_eq!(
        selectors[0].text,
        r#"serin_requests_total{rollout="shop",namespace="web",reporter="source"}"#
    );
    let mut sorted = sides.tick(Timestamp(1));
    let mut add = |variant: &str, revision: &str, code: &str, le: Option<&str>, by: f64| {
        let mut all = labels(&[
            ("variant", variant),
            ("revision", revision),
            ("response_code", code),
        ]);
        all.extend(le.map(|le| ("le".to_string(), le.to_string())));
        sorted
            .add(&selectors[usize::from(le.is_some())], &all, by)
            .unwrap();
    };
    add("canary", "two", "200", None, 90.0);
    add("canary", "two", "503", None, 7.0);
    add("canary", "two", "0", None, 3.0);
    add("canary", "older", "500", None, 1_000.0);
    add("stable", "one", "200", None, 900.0);
    add("stable", "one", "404", None, 10.0);
    for (le, canary, stable) in [
        ("100", 80.0, 900.0),
        ("250", 99.0, 910.0),
        ("+Inf", 100.0, 910.0),
    ] {
        add("canary", "two", "200", Some(le), canary);
        add("stable", "one", "200", Some(le), stable);
    }
    let tick = sorted.tick();
    assert_eq!(
        tick.errors,
        Pair {
            canary: Count::new(100, 10),
            stable: Count::new(910, 0),
        }
    );
    let slower: Vec<(f64, u64, u64)> = tick
        .latency
        .iter()
        .map(|one| (one.bound, one.slower.canary.bad, one.slower.stable.bad))
        .collect();
    assert_eq!(slower, [(100.0, 20, 10), (250.0, 1, 0)]);
}

#[test]
fn a_histogram_that_was_read_in_parts_tells_nothing_of_latency() {
    let sides = filter();
    let selector = &sides.selectors(true)[1];
    let mut sorted = sides.tick(Timestamp(1));
    for (le, below) in [("100", 80.0), ("250", 30.0), ("+Inf", 100.0)] {
        let all = labels(&[("variant", "stable"), ("response_code", "200"), ("le", le)]);
        sorted.add(selector, &all, below).unwrap();
    }
    assert_eq!(sorted.tick().latency, []);
}

#[test]
fn a_users_series_are_what_their_selectors_say() {
    let selectors = |of: &str| Selectors {
        requests: format!("r{{v={of:?}}}"),
        errors: format!("e{{v={of:?}}}"),
        buckets: None,
    };
    let counters = Counters::Given {
        canary: selectors("c"),
        stable: selectors("s"),
    };
    let sides = Sides::of(&counters, &Subject::default()).unwrap();
    let all = sides.selectors(true);
    let texts: Vec<&str> = all.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(
        texts,
        [r#"r{v="c"}"#, r#"e{v="c"}"#, r#"r{v="s"}"#, r#"e{v="s"}"#]
    );
    let mut sorted = sides.tick(Timestamp(1));
    for (selector, by) in all.iter().zip([10.0, 2.0, 100.0, 5.0]) {
        sorted.add(selector, &Labels::new(), by).unwrap();
    }
    let errors = sorted.tick().errors;
    assert_eq!(
        (errors.canary, errors.stable),
        (Count::new(10, 2), Count::new(100, 5))
    );
    assert_eq!(sides.of_stable().len(), 2);
}

#[test]
fn a_run_of_nobody_has_to_say_what_it_compares() {
    let counters = Counters::Filter {
        rollout: Some("shop".into()),
        revision: None,
        reporter: "source".into(),
        codes: "5..".into(),
    };
    let error = Sides::of(&counters, &Subject::default()).unwrap_err();
    assert!(error.contains("set serin/compare.revision"), "{error}");
}
