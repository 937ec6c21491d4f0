use super::*;
use crate::local::tool;
use crate::manifest::Key;
use serin_core::step::Traffic;
use std::fs;
use std::process::Command;

fn mesh() -> Mesh {
    let key = Key {
        namespace: "default".to_string(),
        name: "shop".to_string(),
    };
    Mesh {
        gateway: "127.0.0.1:8080".parse().unwrap(),
        routed: vec![Routed {
            key: key.clone(),
            stable_service: Some("shop".to_string()),
            canary_service: Some("shop-canary".to_string()),
            hosts: vec!["shop.example.com".to_string()],
            sticky: Vec::new(),
            stable: "abc".to_string(),
            canary: "abc".to_string(),
            traffic: Traffic {
                stable: "abc".to_string(),
                canary: None,
            },
        }],
        sets: vec![Workload {
            rollout: key,
            hash: "abc".to_string(),
            proxy: "127.16.1.1".parse().unwrap(),
            endpoints: vec!["127.16.1.2:8080".parse().unwrap()],
        }],
    }
}

fn resources<'a>(files: &'a [File], prefix: &str) -> Vec<&'a Value> {
    let named = |path: &Path| path.to_string_lossy().starts_with(prefix);
    files
        .iter()
        .filter(|(path, _)| named(path))
        .flat_map(|(_, document)| document["resources"].as_array().unwrap())
        .collect()
}

fn without_type(resource: &Value) -> Value {
    let mut resource = resource.clone();
    resource.as_object_mut().unwrap().remove("@type");
    resource
}

/// Envoy does not read watched files in validation, so what they hold is put into the bootstrap.
#[test]
fn envoy_accepts_every_document() {
    // Where builds go is the user's choice, so the executable may lie outside its checkout.
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/envoy");
    let envoy = tool::find("envoy", fetched.is_file().then_some(&*fetched)).unwrap();
    let root = std::env::temp_dir().join(format!("serin-config-{}", std::process::id()));
    fs::create_dir_all(&root).unwrap();
    let paths = Paths {
        root: root.clone(),
        module: root.join("filter.wasm"),
    };
    fs::write(&paths.module, serin_filter_module::MODULE).unwrap();
    let filters: Vec<FilterConfig> = mesh().filters().into_values().collect();
    let files = files(&mesh(), &filters, &paths);
    for (path, document) in &files {
        fs::write(root.join(path), document.to_string()).unwrap();
    }
    let routes = resources(&files, "rds_");
    let filters = resources(&files, "ecds_");
    let listeners = resources(&files, "lds").into_iter().map(|listener| {
        let mut listener = without_type(listener);
        let name = listener["name"].clone();
        let named = |all: &[&Value]| all.iter().find(|one| one["name"] == name).copied().cloned();
        let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        manager["route_config"] = without_type(&named(&routes).unwrap());
        manager.as_object_mut().unwrap().remove("rds");
        manager["http_filters"][0] = without_type(&named(&filters).unwrap());
        listener
    });
    let mut bootstrap = bootstrap(&paths, "127.16.0.1:15000".parse().unwrap());
    bootstrap["static_resources"] = json!({
        "listeners": listeners.collect::<Vec<_>>(),
        "clusters": resources(&files, "cds").into_iter().map(without_type).collect::<Vec<_>>(),
    });
    let path = root.join("bootstrap.json");
    fs::write(&path, bootstrap.to_string()).unwrap();

    let validated = Command::new(envoy)
        .args(["--mode", "validate", "-l", "error", "-c"])
        .arg(&path)
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&validated.stderr);
    assert!(validated.status.success(), "{said}");
    fs::remove_dir_all(&root).unwrap();
}

#[test]
fn endpoints_are_written_before_traffic_and_listeners_last() {
    let paths = Paths {
        root: "/x".into(),
        module: "/x/filter.wasm".into(),
    };
    let filters: Vec<FilterConfig> = mesh().filters().into_values().collect();
    let names: Vec<String> = files(&mesh(), &filters, &paths)
        .iter()
        .map(|(path, _)| path.to_string_lossy().chars().take(3).collect())
        .collect();
    let mut kinds = names.clone();
    kinds.dedup();
    assert_eq!(kinds, ["eds", "cds", "rds", "ecd", "lds"]);
}

#[test]
fn no_page_of_the_admin_ends_envoy() {
    let pages = readable();
    let ends = |page: &Value| "/quitquitquit".starts_with(page["prefix"].as_str().unwrap());
    assert!(!pages.is_empty() && !pages.iter().any(ends));
}
