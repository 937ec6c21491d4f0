use clap::CommandFactory;

use super::*;

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_spellings_of_argo_rollouts_are_understood() {
    for line in [
        "serin get rollout shop -n prod --watch",
        "serin get ro shop --no-color",
        "serin get shop -w",
        "serin list rollouts -A",
        "serin status shop --watch --timeout 5m",
        "serin status shop --watch=false",
        "serin promote shop --full",
        "serin retry rollout shop",
        "serin undo shop --to-revision=2",
        "serin list rollouts -A --watch",
        "serin get rollout shop --context prod --watch --timeout-seconds 60",
        "serin restart shop --in 10s",
        "serin restart shop -i 10s -n prod",
        "serin set image shop app=shop:2 mesh=mesh:8",
        "serin set image shop *=shop:2 --kubeconfig /a",
        "serin terminate analysisrun shop-1 -n prod",
        "serin terminate ar shop-1",
        "serin lint -f deploy/demo --root-namespace istio-system",
        "serin explain -f deploy/demo shop --header x-user-id=alice --path /pay",
    ] {
        if let Err(error) = Cli::try_parse_from(line.split(' ')) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn a_local_mode_and_a_cluster_are_not_named_together() {
    for option in ["--kubeconfig", "--context"] {
        let line = ["serin", "get", "shop", "--state", "a", option, "b"];
        let error = Cli::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("cannot be used with"), "{error}");
    }
}

#[test]
fn an_image_names_its_container() {
    let error = Cli::try_parse_from(["serin", "set", "image", "shop", "shop:2"]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("expected CONTAINER=IMAGE"), "{error}");
}

#[test]
fn another_kind_is_refused_by_name() {
    let target = Target {
        target: vec!["experiment".into(), "shop".into()],
    };
    let error = target.name().unwrap_err().to_string();
    assert_eq!(error, "kind \"experiment\" is unknown, expected rollout");
}

#[test]
fn a_status_watches_unless_told_otherwise() {
    for (line, expected) in [
        ("serin status shop", true),
        ("serin status -w shop", true),
        ("serin status --watch=false shop", false),
    ] {
        let Command::Status(status) = Cli::parse_from(line.split(' ')).command else {
            panic!("{line} is no status");
        };
        assert!(
            format!("{status:?}").contains(&format!("watch: {expected}")),
            "{line}"
        );
    }
}

#[test]
fn more_traffic_than_one_machine_can_send_is_refused() {
    let traffic = |rate: &str| Cli::try_parse_from(["serin", "local", ".", "--traffic", rate]);
    assert!(traffic("1").is_ok() && traffic("20000").is_ok());
    for rate in ["0", "20001"] {
        let error = traffic(rate).unwrap_err().to_string();
        assert!(error.contains("is not in 1..=20000"), "{error}");
    }
}
