use super::*;
use proptest::prelude::*;
use serde_json::json;

fn ask(text: &str, result: &Reading) -> Result<bool, String> {
    Condition::parse(text)?.holds(result)
}

fn vector(values: &[f64]) -> Reading {
    Reading::Vector(values.to_vec())
}

#[track_caller]
fn check(result: &Reading, cases: &[(&str, bool)]) {
    for (text, expected) in cases {
        assert_eq!(ask(text, result), Ok(*expected), "{text}");
    }
}

#[track_caller]
fn refused(result: &Reading, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(
            ask(text, result).as_ref().map_err(String::as_str),
            Err(*expected),
            "{text}"
        );
    }
}

#[test]
fn errors_do_not_repeat_what_an_answer_says() {
    let secret = Reading::Json(json!("hunter2"));
    for condition in [
        "asInt(result) > 1",
        "asFloat(result) > 1",
        "int(result) > 1",
        "float(result) > 1",
        "duration(result) > duration('1s')",
        "date(result) > now()",
        "now() - result > duration('1s')",
        "join(result, 1) == ''",
    ] {
        let held = Condition::parse(condition).unwrap().holds(&secret);
        let why = held.unwrap_err();
        assert!(!why.contains("hunter2"), "{condition}: {why}");
    }
}

#[test]
fn the_forms_of_users_templates_hold() {
    check(
        &vector(&[0.97, 2.0]),
        &[
            ("result[0] >= 0.95", true),
            ("result[0] <= 1", true),
            ("result[0] <= 0", false),
            ("len(result) == 2", true),
            ("len(result) == 0 || result[0] < 0.5", false),
            ("len(result)==2&&result[0]>=.95", true),
            ("result[0] > 0.5 and result[1] > 1", true),
            ("result[0] > 1 or not (result[1] > 5)", true),
            ("!(result[0] > 1)", true),
            ("!!true", true),
            ("2 in result", true),
            ("3 not in result", true),
            ("result[0] not in [1, 2]", true),
            ("all(result, # > 0.5)", true),
            ("all(result, {# > 0.97})", false),
            ("any(result, # > 1.5)", true),
            ("none(result, {# > 3}) && one(result, # > 1)", true),
            ("count(result, # > 1) == 1", true),
            ("filter(result, # > 1)[0] == 2", true),
            ("all(map(result, # * 2), # > 1)", true),
            ("max(result) == 2 && min(result) < 1", true),
            ("sum(result) > 2.9 and mean(result) < 1.5", true),
            ("result[-1] == 2", true),
            ("result[len(result) - 1] == 2", true),
            ("result[1:][0] == 2", true),
            ("first(result) < last(result)", true),
            ("result | len() == 2", true),
            ("let x = result[0]; x > 0.5 && x < 1", true),
            ("result[0] > 0.9 ? true : false", true),
            ("if result[0] > 0.9 { true } else { false }", true),
            ("result != nil", true),
            ("result == [0.97, 2]", true),
            ("-result[0] < 0 && -2 ** 2 == -4", true),
            ("1_000 == 1e3 && 0x10 == 16", true),
            ("1 + 2 * 3 == 7 && 7 % 4 == 3 && 1 / 2 == 0.5", true),
            ("reduce(result, #acc + #, 0) > 2", true),
            ("findIndex(result, # > 1) == 1", true),
            ("asInt(result[1]) == 2", true),
            ("2 in 1..3", true),
            ("true // always", true),
            ("date(\"2026-01-02\") > date(\"2026-01-01\")", true),
            ("duration(\"1h\") > duration(\"30m\")", true),
        ],
    );
}

#[test]
fn scalars_compare_with_numbers_of_both_kinds() {
    check(
        &Reading::Scalar(10.0),
        &[
            ("result == 10", true),
            ("result == 10.0", true),
            ("result != 10", false),
            ("result > 9.5 && result < 11", true),
            ("result in [9, 10]", true),
            ("isNaN(result)", false),
            ("isInf(result)", false),
            ("isNil(result)", false),
            ("default(result, 1) == 10", true),
            ("asInt(\"7\") == 7 && asFloat('1.5') == 1.5", true),
            ("asInt(1.9) == 1 && asFloat(2) == 2", true),
        ],
    );
}

#[test]
fn with_nan_every_comparison_is_false() {
    check(
        &Reading::Scalar(f64::NAN),
        &[
            ("result > 1", false),
            ("result < 1", false),
            ("result >= 1", false),
            ("result <= 1", false),
            ("result == 1", false),
            ("result == result", false),
            ("isNaN(result)", true),
            ("isInf(result)", false),
        ],
    );
    check(
        &vector(&[f64::NAN]),
        &[("isNaN(result[0]) || result[0] < 1", true)],
    );
    let infinite = Reading::Scalar(f64::NEG_INFINITY);
    check(&infinite, &[("isInf(result)", true), ("result < 0", true)]);
}

#[test]
fn json_is_reached_by_field_and_by_key() {
    let result = json!({
        "a": {"b": 3, "text": "yes"}, "a.b": [1, {"c": true}], "items": [{"n": 1}, {"n": 2}],
        "none": null,
    });
    check(
        &Reading::Json(result),
        &[
            ("result.a.b == 3", true),
            ("result['a.b'][0] == 1", true),
            ("result[\"a.b\"][1].c", true),
            ("result.a.text == 'yes'", true),
            (
                "result.a.text matches \"^y\" and result.a.text contains 'e'",
                true,
            ),
            ("'text' in result.a", true),
            ("result.missing == nil", true),
            ("result.missing?.deeper == nil", true),
            ("(result.none ?? 5) == 5", true),
            ("all(result.items, .n > 0)", true),
            ("any(result.items, {.n == 2})", true),
            ("result.a.b == '3'", false),
            ("not (result.a.text startsWith 'n')", true),
            ("result.a.text not endsWith 'n'", true),
            ("{\"x\": result.a.b}.x == 3", true),
            ("asInt(result.a.b) == 3", true),
        ],
    );
    check(
        &Reading::Json(json!("2")),
        &[("asInt(result) == 2", true), ("result == '2'", true)],
    );
    check(&Reading::Json(json!(true)), &[("result", true)]);
}

#[test]
fn nil_takes_the_default_whatever_is_asked() {
    check(
        &Reading::Json(json!(null)),
        &[
            ("isNil(result)", true),
            ("isNil(1)", true),
            ("default(result, 0) < 0.05", true),
            ("default(5, 0) == 0", true),
            ("result == nil", true),
            ("result == 1", false),
        ],
    );
    // An empty vector is a list all the same.
    let empty = vector(&[]);
    check(
        &empty,
        &[
            ("isNil(result)", false),
            ("len(result) == 0 || result[0] < 1", true),
        ],
    );
    check(&empty, &[("len(default(result, 0)) == 0", true)]);
}

#[test]
fn what_has_no_answer_is_an_error() {
    let mismatch = "invalid operation: == (mismatched types []float64 and int)";
    refused(
        &vector(&[1.0]),
        &[
            ("result == 10", mismatch),
            // Found although evaluation would not come to it.
            ("true || result == 10", mismatch),
            (
                "result > 1",
                "invalid operation: > (mismatched types []float64 and int)",
            ),
            (
                "result[5] == nil",
                "index out of range: 5 (array length is 1)",
            ),
            (
                "result[-2] > 1",
                "index out of range: -2 (array length is 1)",
            ),
            (
                "result[0.5] > 1",
                "array elements can only be selected using an integer (got float64)",
            ),
            ("result.a > 1", "type []float64 has no field a"),
            ("result['a'] > 1", "type []float64 has no field a"),
            ("result[0]", "expected bool, but got float64"),
            (
                "result[0] == 'a'",
                "invalid operation: == (mismatched types float64 and string)",
            ),
            (
                "'a' in result",
                "invalid operation: in (mismatched types string and []float64)",
            ),
            (
                "result[0] && true",
                "invalid operation: && (mismatched types float64 and bool)",
            ),
            (
                "not result[0] > 1",
                "invalid operation: ! (mismatched type float64)",
            ),
            ("true || unknown", "unknown name unknown"),
            ("Len(result) == 1", "unknown name Len (no such function)"),
            (
                "len(result[0]) == 1",
                "invalid argument for len (type float64)",
            ),
            ("len() == 1", "not enough arguments to call len"),
            (
                "any(result, #)",
                "predicate should return boolean (got float64)",
            ),
            (
                "any(result[0], # > 1)",
                "builtin any takes only array (got float64)",
            ),
            (
                "asInt('1.1') == 1",
                "asInt: a text of 3 bytes is no number (invalid syntax)",
            ),
            (
                "asFloat('x') == 1",
                "asFloat: a text of 1 bytes is no number (invalid syntax)",
            ),
            (
                "# > 1",
                "unexpected # at byte 0, expected a value (# stands for an element in a predicate)",
            ),
            ("result[0] >", "unexpected end, expected a value"),
            (
                "result[0] > 1 2",
                "unexpected 2 at byte 14, expected an operator or the end",
            ),
            (
                "result[0] @ 1",
                "unexpected @ at byte 10, expected an operator or the end",
            ),
            ("'open", "a string does not end at byte 0"),
            ("", "unexpected end, expected a value"),
            ("1 % 0 == 1", "integer divide by zero"),
            (
                "now().Year() > 1",
                "unexpected ( at byte 10, expected a field (methods are not supported)",
            ),
        ],
    );
    let nil = Reading::Json(json!(null));
    refused(
        &nil,
        &[(
            "result > 1",
            "invalid operation: > (mismatched types nil and int)",
        )],
    );
    let object = Reading::Json(json!({}));
    refused(&object, &[("result.a.b == 1", "cannot fetch b from nil")]);
    refused(
        &object,
        &[(
            "result.a > 1",
            "invalid operation: > (mismatched types nil and int)",
        )],
    );
}

#[test]
fn work_memory_and_depth_are_bounded() {
    let ones = vector(&[1.0; 20_000]);
    for greedy in [
        "len(1..9223372036854775807) > 0",
        "all(result, all(result, # > 0))",
        "len(repeat('a', 9223372036854775807)) > 0",
        "len(repeat(repeat('a', 100000), 100000)) > 0",
        "len(uniq(result)) > 0",
        "let a = repeat('a', 100000); len(replace(a, '', a)) > 0",
    ] {
        assert_eq!(
            ask(greedy, &ones),
            Err("takes too much work".to_string()),
            "{greedy}"
        );
    }
    check(
        &ones,
        &[("all(result, # == 1) and sum(result) == 20000", true)],
    );
    let deep = |open: &str, close: &str, n| {
        let text = format!("{}true{}", open.repeat(n), close.repeat(n));
        ask(&text, &ones)
    };
    assert_eq!(deep("(", ")", 190), Ok(true));
    assert_eq!(deep("true && (", ")", 60), Ok(true));
    assert_eq!(deep("!", "", 190), Ok(true));
    assert!(deep("[", "]", 90).is_err());
    assert!(deep("(", ")", 1000).is_err());
    assert!(ask(&"1+".repeat(1000), &ones).is_err());
    assert!(ask(&" ".repeat(5000), &ones).is_err());
}

/// Pieces that make conditions which often parse.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: [&str; 60] = [
        "result",
        "result[0]",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "#",
        "#index",
        "#acc",
        ".a",
        "?.",
        "nil",
        "true",
        "1",
        "-1",
        "9223372036854775807",
        "1e308",
        "0.5",
        "'a'",
        "\"\\u00e9\"",
        "==",
        "!=",
        "<",
        ">=",
        "in",
        "not",
        "and",
        "||",
        "+",
        "-",
        "*",
        "/",
        "%",
        "**",
        "..",
        "?",
        ":",
        "??",
        "|",
        ",",
        ";",
        "let x =",
        "x",
        "len(",
        "all(result,",
        "map(",
        "max(",
        "date(",
        "duration(",
        "replace(",
        "repeat(",
        "split(",
        "sort(",
        "flatten(",
        "asInt(",
        "isNaN(",
        "default(",
        "matches",
    ];
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..14)
        .prop_map(|pieces| pieces.join(" "))
}

/// Calls of every function with arguments of every kind.
fn calls() -> impl Strategy<Value = String> {
    const ARGS: [&str; 16] = [
        "result",
        "result[0]",
        "''",
        "'a'",
        "'é,ß'",
        "nil",
        "true",
        "-1",
        "0",
        "9223372036854775807",
        "1e308",
        "[]",
        "[[1], ['a']]",
        "{a: 1}",
        "duration('1h')",
        "date('2026-01-02')",
    ];
    let names = [
        "len",
        "count",
        "sum",
        "max",
        "min",
        "mean",
        "median",
        "abs",
        "ceil",
        "floor",
        "round",
        "int",
        "float",
        "string",
        "type",
        "first",
        "last",
        "take",
        "reverse",
        "uniq",
        "concat",
        "flatten",
        "join",
        "sort",
        "keys",
        "values",
        "get",
        "toPairs",
        "fromPairs",
        "trim",
        "trimPrefix",
        "trimSuffix",
        "upper",
        "lower",
        "split",
        "splitAfter",
        "replace",
        "repeat",
        "indexOf",
        "lastIndexOf",
        "hasPrefix",
        "hasSuffix",
        "bitand",
        "bitor",
        "bitxor",
        "bitnand",
        "date",
        "duration",
        "timezone",
        "asInt",
        "asFloat",
        "isNaN",
        "isInf",
        "isNil",
        "default",
    ];
    let args = prop::collection::vec(prop::sample::select(ARGS.to_vec()), 0..4);
    (prop::sample::select(names.to_vec()), args)
        .prop_map(|(name, args)| format!("{name}({}) == 1", args.join(", ")))
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = ask(&text, &vector(&[1.0]));
    }

    #[test]
    fn no_expression_panics(text in pieces(), values in prop::collection::vec(any::<f64>(), 0..4)) {
        let _ = ask(&text, &Reading::Vector(values));
    }

    #[test]
    fn no_call_panics(text in calls()) {
        let _ = ask(&text, &vector(&[1.0]));
    }

    #[test]
    fn a_scalar_compares_as_a_float(value in any::<f64>(), limit in -1e6..1e6_f64) {
        let found = |sign: &str| ask(&format!("result {sign} {limit:?}"), &Reading::Scalar(value));
        prop_assert_eq!(found(">="), Ok(value >= limit));
        prop_assert_eq!(found("<"), Ok(value < limit));
        prop_assert_eq!(found("=="), Ok(value == limit));
        prop_assert_eq!(found("!="), Ok(value != limit));
    }
}
