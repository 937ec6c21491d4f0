//! What `serin lint` says, and how it ends.

use serin::mesh::telemetry;
use serin_tests::local::binary;
use std::fs;
use std::path::Path;
use std::process::Command;

/// How it ends on a directory, and what it says.
fn lint(dir: &Path) -> (Option<i32>, String) {
    let lint = Command::new(binary("serin"))
        .args(["lint", "-f"])
        .arg(dir)
        .output()
        .expect("serin runs");
    let said = [lint.stdout, lint.stderr].concat();
    (
        lint.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn it_fails_on_errors_alone_and_says_so_when_there_is_nothing() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo");
    let dir = tempfile::tempdir().expect("a directory");
    let copy = |name: &str| fs::copy(demo.join(name), dir.path().join(name)).expect("a file");
    for name in ["analysis.yaml", "ledger.yaml", "shop.yaml"] {
        copy(name);
    }
    // The Telemetry by which its analyses see the canary may be in the mesh already.
    let (code, said) = lint(dir.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.lines()
            .all(|line| line.starts_with("warning: analysis.yaml ")),
        "{said}"
    );
    assert!(said.contains("serin-tags"), "{said}");

    let tags = telemetry::telemetry("istio-system").to_string();
    fs::write(dir.path().join("tags.yaml"), tags).expect("a file");
    // What the demo means, and a reader may not.
    let limit = "warning: analysis.yaml document 2: AnalysisTemplate default/latency: \
                 spec.metrics[0].failureLimit: is 1: the run fails with the 2nd failed measurement, \
                 cumulative, not consecutive\n";
    assert_eq!(lint(dir.path()), (Some(0), limit.to_string()));
    let analysis = fs::read_to_string(dir.path().join("analysis.yaml")).expect("a text");
    let without = analysis.replace("failureLimit: 1", "failureLimit: 0");
    fs::write(dir.path().join("analysis.yaml"), without).expect("a file");
    assert_eq!(
        lint(dir.path()),
        (Some(0), "no findings in 4 files\n".to_string())
    );

    let mesh = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
                data:\n  mesh: |\n    defaultConfig: {}\n";
    fs::write(dir.path().join("mesh.yaml"), mesh).expect("a file");
    let (code, said) = lint(dir.path());
    assert_eq!(code, Some(1), "{said}");
    let told = "error: mesh.yaml document 1: ConfigMap istio-system/istio: data.mesh: ";
    assert!(said.starts_with(told), "{said}");
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let (code, said) = lint(Path::new("/nowhere"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("serin: read /nowhere: "), "{said}");
}
