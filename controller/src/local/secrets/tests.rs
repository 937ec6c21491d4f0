use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use serin_core::analysis::{Draft, SecretKey};

use super::*;
use crate::measure::{Hindered, provider};

const FILE: &str = "
apiVersion: v1
kind: Secret
metadata: {name: tokens, namespace: web}
data: {prom: aHVudGVyMQ==, both: aHVudGVyMQ==}
stringData: {both: hunter2}
---
apiVersion: v1
kind: Secret
metadata: {name: other}
stringData: {k: x}
";

/// A directory of its own with the file in it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str, text: &str, mode: u32) -> Place {
        let dir = std::env::temp_dir().join(format!("serin-secrets-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let place = Place(fs::canonicalize(dir).unwrap());
        fs::write(place.file(), text).unwrap();
        fs::set_permissions(place.file(), fs::Permissions::from_mode(mode)).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.0.join("secrets.yaml")
    }

    fn open(&self) -> anyhow::Result<SecretFile> {
        SecretFile::open(&self.file(), Path::new("/nowhere"))
    }

    fn in_file(&self) -> InFile {
        InFile {
            file: Some(self.open().unwrap()),
            namespace: "web".into(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn refusal(name: &str, text: &str) -> String {
    let opened = Place::new(name, text, 0o600).open();
    format!("{:#}", opened.unwrap_err())
}

#[test]
fn a_file_that_others_may_read_is_refused_with_its_mode() {
    for mode in [0o644, 0o640, 0o604] {
        let place = Place::new(&format!("mode{mode:o}"), FILE, mode);
        let told = place.open().unwrap_err().to_string();
        let has =
            format!("has mode {mode:o}, expected one that only its owner may read (chmod 600");
        assert!(told.contains(&has), "{told}");
    }
    let place = Place::new("mode600", FILE, 0o600);
    let file = place.open().unwrap();
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(file.read().is_err(), "it is looked at each time");
}

#[test]
fn a_file_in_the_state_directory_is_refused() {
    let place = Place::new("state", FILE, 0o600);
    let told = SecretFile::open(&place.file(), &place.0)
        .unwrap_err()
        .to_string();
    assert!(told.contains("is in the state directory"), "{told}");
}

#[test]
fn what_is_wrong_is_told_without_any_value() {
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
    for (name, text, told) in [
        ("kind", "kind: hunter2", "document 1: is no Secret"),
        ("yaml", "a: 'hunter2", "document 1 is no YAML (line "),
        (
            "twice",
            "hunter2: 1\nhunter2: 2",
            "document 1 is no YAML (line ",
        ),
        ("text", "hunter2", "document 1: is no Secret"),
        (
            "base64",
            "data: {k: \"!hunter2\"}",
            "data.k: is no text in base64",
        ),
        (
            "number",
            "stringData: {k: 12345}",
            "stringData.k: is no text (quote it)",
        ),
        ("list", "stringData: [hunter2]", "stringData: is no object"),
    ] {
        let whole = match name {
            "base64" | "number" | "list" => format!("{head}{text}"),
            _ => text.to_string(),
        };
        let found = refusal(name, &whole);
        assert!(found.contains(told), "{name}: {found}");
        assert!(
            !found.contains("hunter") && !found.contains("12345"),
            "{found}"
        );
    }
}

fn wanted(key: &str) -> Wanted {
    Wanted::credential("tokens", key)
}

#[tokio::test]
async fn secrets_are_found_by_namespace_name_and_key() {
    let place = Place::new("found", FILE, 0o600);
    let keeper = place.in_file();
    let read = keeper.read([wanted("prom"), wanted("both")]).await;
    let read = read.unwrap();
    assert_eq!(Vec::from_iter(read.values()), ["hunter2", "hunter1"]);
    let elsewhere = Wanted::credential("other", "k");
    for (wanted, why) in [
        (wanted("gone"), Some("Secret tokens has no key gone")),
        (wanted("gone").optional(), None),
        (
            elsewhere.clone(),
            Some("Secret web/other is not in the file of --secrets"),
        ),
        (elsewhere.optional(), None),
    ] {
        assert_eq!(keeper.read([wanted]).await.err().as_deref(), why);
    }
}

/// A run whose metric takes a token from the Secret's key.
fn draft(key: &str) -> Draft {
    let spec = json!({
        "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": key}}}],
        "metrics": [{"name": "m", "provider": {"prometheus": {"query": "up",
            "headers": [{"key": "Authorization", "value": "Bearer {{args.token}}"}]}}}],
    });
    Draft::read(&spec).unwrap()
}

#[tokio::test]
async fn a_providers_secrets_are_filled_in_and_what_lacks_ends_the_run() {
    let place = Place::new("filled", FILE, 0o600);
    let keeper = place.in_file();
    let (made, read) = provider(&keeper, &draft("both"), 0).await.unwrap();
    let made = serde_json::to_value(&made).unwrap().to_string();
    assert!(made.contains("Bearer hunter2"), "{made}");
    let key = SecretKey {
        name: "tokens".into(),
        key: "both".into(),
    };
    assert!(read.contains_key(&key));
    let lacks = provider(&keeper, &draft("gone"), 0).await.err();
    let why = "Unable to resolve metric arguments: Secret tokens has no key gone";
    assert_eq!(lacks, Some(Hindered::Unresolved(why.to_string())));
}
