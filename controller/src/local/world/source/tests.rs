use super::*;

#[test]
fn files_are_taken_once_they_have_stayed_for_a_while() {
    let mut watched = Watched::of(&["shop"]);
    assert_eq!(watched.look(&["shop", "cart"], 0), None);
    assert_eq!(watched.look(&["shop", "cart"], 5), None);
    assert_eq!(watched.look(&["shop", "cart"], 499), None);
    let reading = Stale::Changed("they are being read".into());
    assert_eq!(watched.stale(499), Some(reading));
    let taken = watched.look(&["shop", "cart"], 500);
    assert_eq!(taken.as_deref(), Some("default/shop default/cart"));
    assert_eq!(watched.look(&["shop", "cart"], 2_000), None);
}

#[test]
fn a_rollout_that_comes_back_in_time_was_never_gone() {
    let mut watched = Watched::of(&["shop", "cart"]);
    assert_eq!(watched.look(&["cart"], 0), None);
    assert_eq!(watched.look(&["cart"], 9_999), None);
    let waits = "default/shop is missing, and ends unless it is back within 10s";
    assert_eq!(watched.stale(9_999), Some(Stale::Changed(waits.into())));
    assert_eq!(watched.look(&["shop", "cart"], 10_000), None);
    assert_eq!(watched.stale(10_000), None);
}

#[test]
fn a_rollout_that_stays_away_is_given_up() {
    let mut watched = Watched::of(&["shop", "cart"]);
    assert_eq!(watched.look(&["cart"], 0), None);
    let taken = watched.look(&["cart"], 10_000);
    assert_eq!(taken.as_deref(), Some("default/cart"));
    assert_eq!(watched.stale(10_000), None);
}

#[test]
fn files_without_any_rollout_are_refused_for_good() {
    let mut watched = Watched::of(&["shop"]);
    assert_eq!(watched.look(&[], 0), None);
    assert_eq!(watched.look(&[], 60_000), None);
    let refused = "no Rollout is left, expected at least one in *.yaml or *.yml";
    assert_eq!(watched.stale(60_000), Some(Stale::Refused(refused.into())));
}

#[test]
fn a_refusal_ends_with_files_that_are_right() {
    let mut watched = Watched::of(&["shop"]);
    assert_eq!(watched.look(&["shop", "shop"], 0), None);
    assert_eq!(watched.look(&["shop", "shop"], 500), None);
    assert!(matches!(watched.stale(500), Some(Stale::Refused(_))));
    assert_eq!(watched.look(&["shop"], 600), None);
    let taken = watched.look(&["shop"], 1_100);
    assert_eq!(taken.as_deref(), Some("default/shop"));
    assert_eq!(watched.stale(1_100), None);
}

#[test]
fn a_read_error_is_told_while_it_lasts_and_no_longer() {
    let mut watched = Watched::of(&["shop"]);
    let error = || Err("shop.yaml: permission denied".to_string());
    let why = || "they cannot be read: shop.yaml: permission denied".to_string();
    assert!(watched.read(error(), 0).is_none());
    assert_eq!(watched.stale(0), Some(Stale::Changed(why())));
    assert!(watched.read(error(), 500).is_none());
    assert_eq!(watched.stale(500), Some(Stale::Refused(why())));
    assert_eq!(watched.look(&["shop"], 510), None);
    assert_eq!(watched.stale(510), None);
}

/// A source, what is remembered, and when it began.
struct Watched {
    source: Source,
    known: Vec<String>,
    begin: Instant,
}

impl Watched {
    fn of(names: &[&str]) -> Watched {
        let begin = Instant::now();
        Watched {
            source: Source::of(files(names), LocalSecrets::Nowhere, begin),
            known: names.iter().map(|name| format!("default/{name}")).collect(),
            begin,
        }
    }

    /// Looks at a directory with these Rollouts, and returns those to put in force.
    fn look(&mut self, names: &[&str], millis: u64) -> Option<String> {
        let manifests = self.read(Ok(files(names)), millis)?;
        let keys = manifests.rollouts.iter().map(|r| r.key.to_string());
        Some(keys.collect::<Vec<_>>().join(" "))
    }

    fn stale(&self, millis: u64) -> Option<Stale> {
        self.source
            .stale(self.begin + Duration::from_millis(millis))
    }

    fn read(&mut self, read: Result<Texts, String>, millis: u64) -> Option<Manifests> {
        let now = self.begin + Duration::from_millis(millis);
        self.source.look(read, &self.known, now)
    }
}

fn files(names: &[&str]) -> Texts {
    let file = |name: &&str| {
        let rollout = serde_json::json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": name, "command": [name]}]},
                },
                "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}]}},
            },
        });
        (format!("{name}.yaml"), rollout.to_string())
    };
    names.iter().map(file).collect()
}
