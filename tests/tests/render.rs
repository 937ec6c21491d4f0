//! What `serin render` prints is what Istio takes, by Istio's own word.

use serde_json::{Value, json};
use serin::mesh::objects::{self, Owner, Wanted};
use serin_tests::local::{binary, tool};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Whether `istioctl validate` takes these objects, and what it says.
fn validated(objects: &str) -> (bool, String) {
    let mut file = tempfile::Builder::new()
        .suffix(".yaml")
        .tempfile()
        .expect("a file");
    file.write_all(objects.as_bytes()).expect("the objects");
    let validated = Command::new(tool("istioctl"))
        .args(["validate", "-f"])
        .arg(file.path())
        .output()
        .expect("istioctl runs");
    let said = [validated.stdout, validated.stderr].concat();
    (
        validated.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn what_is_rendered_of_the_demo_is_valid() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo");
    let rendered = Command::new(binary("serin"))
        .args(["render", "-f"])
        .arg(demo)
        .output()
        .expect("serin runs");
    assert!(rendered.status.success(), "{rendered:?}");
    let rendered = String::from_utf8(rendered.stdout).expect("is text");
    for name in ["serin-filter", "serin-tags", "serin-shop", "serin-ledger"] {
        assert!(
            rendered.contains(&format!("name: {name}\n")),
            "{name}: {rendered}"
        );
    }
    // Applied in a release it would take the canary from everybody.
    assert!(!rendered.contains("serin-config"), "{rendered}");
    let (valid, said) = validated(&rendered);
    assert!(valid, "{said}");
}

#[test]
fn a_release_in_flight_is_valid_and_a_broken_object_is_not() {
    let rule = json!({
        "rollout": "shop", "namespace": "web", "service": "shop", "hosts": ["shop.web"],
        "stable": "a", "canary": {"revision": "b", "weightBp": 5_000, "salt": "web/shop/b"},
    });
    let wanted = Wanted {
        generation: 3,
        rules: vec![serde_json::from_value(rule).expect("a rule")],
    };
    let code = objects::code_at("http://serin.serin:8090");
    let object = objects::configuration(&Owner::of_all("istio-system"), 0, &wanted, &code)
        .expect("an object");
    let (valid, said) = validated(&object.to_string());
    assert!(valid, "{said}");
    let mut broken = object;
    broken["spec"]["configPatches"][0]["applyTo"] = Value::from("NOWHERE");
    let (valid, said) = validated(&broken.to_string());
    assert!(!valid && said.contains("NOWHERE"), "{said}");
}
