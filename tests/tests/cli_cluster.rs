//! The command line against a real API server, beside the plugin that its users know: both are
//! shown the same objects, written by hand, and both are to leave the same objects behind.

#[path = "cli_cluster/objects.rs"]
mod objects;
#[path = "cli_cluster/programs.rs"]
mod programs;

use kube::Client;
use objects::{Shop, namespace};
use programs::{Programs, spaced};
use serde_json::{Value, json};
use serin_tests::api_server::ApiServer;
use serin_tests::local::runtime;
use std::path::Path;

/// Runs a test with a client and a kubeconfig of the API server.
fn with_cluster(test: impl AsyncFnOnce(Client, &Path)) {
    let server = ApiServer::get();
    let kubeconfig = server.kubeconfig();
    runtime().block_on(async {
        let client = server.client();
        objects::install(&client).await;
        test(client, &kubeconfig).await;
    });
}

#[test]
fn get_shows_what_the_plugin_shows() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "get").await;
        let shop = Shop::create(&client, &namespace, "shop", json!({})).await;
        shop.with_pods(&client).await;
        shop.with_run(&client, "shop-new-2-1", "2", "Running").await;
        shop.with_run(&client, "shop-old-1-1", "1", "Successful")
            .await;
        let programs = Programs::new(kubeconfig, &namespace);
        let ours = programs.serin(&["get", "rollout", "shop"]);
        let theirs = programs.plugin(&["get", "rollout", "shop", "--no-color"]);
        assert!(ours.good && theirs.good, "{ours:#?}{theirs:#?}");
        assert_eq!(
            without_steps(&ours.out),
            ageless(&theirs.out),
            "{}",
            ours.out
        );
        assert!(ours.out.contains("ImagePullBackOff"), "{}", ours.out);
        assert!(
            ours.out.contains("॥ 2  pause: until promoted"),
            "{}",
            ours.out
        );
    });
}

#[test]
fn list_shows_what_the_plugin_shows() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "list").await;
        for (name, status) in [
            ("shop", json!({})),
            (
                "cart",
                json!({"phase": "Degraded", "abort": true, "currentStepIndex": 0}),
            ),
            ("till", json!({"currentStepIndex": 3, "readyReplicas": 4})),
        ] {
            Shop::create(&client, &namespace, name, status).await;
        }
        let programs = Programs::new(kubeconfig, &namespace);
        let ours = programs.serin(&["list"]);
        let theirs = programs.plugin(&["list", "rollouts"]);
        assert_eq!(spaced(&ours.out), spaced(&theirs.out));
        let all = programs.serin(&["list", "rollouts", "-A"]);
        let here = format!("{namespace} cart Canary Degraded 0/3 0 2/3 3 1 2");
        assert!(spaced(&all.out).contains(&here), "{}", all.out);
    });
}

#[test]
fn status_ends_as_the_plugin_ends() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "status").await;
        let programs = Programs::new(kubeconfig, &namespace);
        for (name, status) in [
            ("healthy", json!({"phase": "Healthy", "message": null})),
            (
                "degraded",
                json!({"phase": "Degraded", "message": "RolloutAborted: by hand", "abort": true}),
            ),
            (
                "paused",
                json!({"phase": "Paused", "message": "CanaryPauseStep"}),
            ),
            (
                "older",
                json!({"phase": "Healthy", "observedGeneration": "0"}),
            ),
        ] {
            Shop::create(&client, &namespace, name, status).await;
            for watch in ["--watch=false", "--watch=true"] {
                let line = ["status", name, watch, "--timeout", "2s"];
                let (ours, theirs) = (programs.serin(&line), programs.plugin(&line));
                assert_eq!(ours.good, theirs.good, "{line:?} {ours:#?}{theirs:#?}");
                // Without watching, the plugin keeps to itself why a Rollout is Degraded.
                assert!(
                    ours.out.starts_with(theirs.out.trim_end()),
                    "{ours:#?}{theirs:#?}"
                );
            }
        }
    });
}

#[test]
fn a_status_needs_no_more_than_to_read_rollouts() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "reader").await;
        let healthy = json!({"phase": "Healthy", "message": null});
        Shop::create(&client, &namespace, "shop", healthy).await;
        objects::allow_reading_rollouts(&client, "reader").await;
        let text = std::fs::read_to_string(kubeconfig).expect("a kubeconfig");
        let mut config: Value = serde_json::from_str(&text).expect("is JSON");
        config["users"][0]["user"]["as"] = json!("reader");
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("config");
        std::fs::write(&file, config.to_string()).expect("a kubeconfig");
        let programs = Programs::new(&file, &namespace);
        for line in [
            &["status", "shop", "--watch=false"][..],
            &["status", "shop"],
        ] {
            assert_eq!(programs.must_serin(line), "Healthy\n");
        }
        assert!(programs.must_serin(&["list"]).contains("shop"));
        let refused = programs.serin(&["get", "shop"]);
        assert!(
            refused.err.contains("is forbidden: User \"reader\""),
            "{refused:#?}"
        );
        let refused = programs.serin(&["pause", "shop"]);
        assert!(
            refused.err.contains("cannot patch resource \"rollouts\""),
            "{refused:#?}"
        );
    });
}

#[test]
fn verbs_write_what_the_plugin_writes() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "verbs").await;
        let programs = Programs::new(kubeconfig, &namespace);
        let waiting = json!({});
        let going =
            json!({"phase": "Progressing", "pauseConditions": null, "controllerPause": null});
        let inconclusive = json!({"canary": {"currentStepAnalysisRunStatus": {"name": "a", "status": "Inconclusive"}}});
        let aborted = json!({"abort": true, "phase": "Degraded"});
        for (case, (status, verb)) in [
            (&waiting, &["promote"][..]),
            (&going, &["promote"]),
            (&inconclusive, &["promote"]),
            (&waiting, &["promote", "--full"]),
            (&going, &["abort"]),
            (&aborted, &["retry", "rollout"]),
            (&going, &["pause"]),
            (&going, &["undo"]),
            (&aborted, &["undo", "--to-revision=1"]),
        ]
        .into_iter()
        .enumerate()
        {
            let (ours, theirs) = (format!("ours-{case}"), format!("theirs-{case}"));
            let ours = Shop::create(&client, &namespace, &ours, status.clone()).await;
            let theirs = Shop::create(&client, &namespace, &theirs, status.clone()).await;
            let before = ours.content(&client).await;
            let with = |name: &str| {
                let words = verb.iter().map(ToString::to_string);
                words.chain([name.to_string()]).collect::<Vec<_>>()
            };
            programs.must_serin(&with(&ours.name));
            programs.must_plugin(&with(&theirs.name));
            let content = ours.content(&client).await;
            assert_eq!(content, theirs.content(&client).await, "{verb:?} {status}");
            assert_ne!(content, before, "{verb:?} {status}");
        }
    });
}

#[test]
fn someones_own_pause_ends_without_a_step_skipped() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "resume").await;
        let programs = Programs::new(kubeconfig, &namespace);
        let going = json!({"pauseConditions": null, "controllerPause": null});
        let shop = Shop::create(&client, &namespace, "shop", going).await;
        let before = shop.content(&client).await;
        let said = programs.must_serin(&["pause", "shop"]);
        assert_eq!(said, "paused (promote goes on)\n");
        assert_eq!(shop.content(&client).await["spec"]["paused"], true);
        assert_eq!(programs.must_serin(&["promote", "shop"]), "promoted\n");
        let after = shop.content(&client).await;
        assert_eq!(after["spec"]["paused"], false);
        assert_eq!(after["status"], before["status"]);
    });
}

#[test]
fn images_restarts_and_ended_runs_are_written_as_the_plugin_writes_them() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "fields").await;
        let programs = Programs::new(kubeconfig, &namespace);
        let ours = Shop::create(&client, &namespace, "ours", json!({})).await;
        let theirs = Shop::create(&client, &namespace, "theirs", json!({})).await;
        for image in ["app=shop:3", "*=all:1"] {
            programs.must_serin(&["set", "image", "ours", image]);
            programs.must_plugin(&["set", "image", "theirs", image]);
            let content = ours.content(&client).await;
            assert_eq!(content, theirs.content(&client).await, "{image}");
            let image = image.split_once('=').expect("has one").1;
            let container = &content["spec"]["template"]["spec"]["containers"][0];
            assert_eq!(container["image"], image);
        }
        let both = ["set", "image", "ours", "app=shop:4", "mesh=mesh:8"];
        assert_eq!(
            programs.must_serin(&both),
            "app=shop:4 mesh=mesh:8 is asked for\n"
        );
        let refused = programs.serin(&["set", "image", "ours", "application=shop:4"]);
        assert!(
            refused
                .err
                .contains("container application is unknown, expected one of mesh, app"),
            "{refused:#?}"
        );

        programs.must_serin(&["restart", "ours", "--in", "1h"]);
        programs.must_plugin(&["restart", "theirs", "--in", "1h"]);
        let at = async |shop: &Shop| {
            let content = shop.content(&client).await;
            let at = content["spec"]["restartAt"]
                .as_str()
                .expect("a time")
                .to_string();
            assert_eq!(at.len(), "2026-01-02T03:04:05Z".len(), "{at}");
            at[.."2026-01-02T03".len()].to_string()
        };
        let (mine, other) = (at(&ours).await, at(&theirs).await);
        assert!(mine <= other, "{mine} {other}");

        ours.with_run(&client, "ours-1", "2", "Running").await;
        ours.with_run(&client, "theirs-1", "2", "Running").await;
        programs.must_serin(&["terminate", "analysisrun", "ours-1"]);
        programs.must_plugin(&["terminate", "analysisrun", "theirs-1"]);
        let path = |name: &str| {
            format!(
                "{}/namespaces/{namespace}/analysisruns/{name}",
                objects::GROUP
            )
        };
        let run = async |name: &str| objects::get(&client, &path(name)).await["spec"].clone();
        assert_eq!(run("ours-1").await, run("theirs-1").await);
        assert_eq!(run("ours-1").await["terminate"], true);
        ours.with_run(&client, "ended", "2", "Failed").await;
        let refused = programs.serin(&["terminate", "ar", "ended"]);
        assert_eq!(refused.err, "serin: analysis run ended has ended: Failed\n");
    });
}

#[test]
fn a_template_elsewhere_is_changed_there() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "workload").await;
        let programs = Programs::new(kubeconfig, &namespace);
        for name in ["ours", "theirs"] {
            let shop = Shop::create(&client, &namespace, name, json!({})).await;
            shop.with_deployment(&client).await;
        }
        let deployment = async |name: &str| {
            let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
            let deployment = objects::get(&client, &path).await;
            objects::nameless(&deployment["spec"]["template"], name)
        };
        programs.must_serin(&["set", "image", "ours", "app=shop:9"]);
        programs.must_plugin(&["set", "image", "theirs", "app=shop:9"]);
        assert_eq!(deployment("ours").await, deployment("theirs").await);
        assert_eq!(
            deployment("ours").await["spec"]["containers"][0]["image"],
            "shop:9"
        );
        programs.must_serin(&["undo", "ours"]);
        programs.must_plugin(&["undo", "theirs"]);
        assert_eq!(deployment("ours").await, deployment("theirs").await);
        assert_eq!(
            deployment("ours").await["spec"]["containers"][0]["image"],
            "shop:old"
        );
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "refused").await;
        let programs = Programs::new(kubeconfig, &namespace);
        let done = json!({"stableRS": "new", "phase": "Healthy", "pauseConditions": null,
            "controllerPause": false});
        let shop = Shop::create(&client, &namespace, "shop", done).await;
        let before = shop.content(&client).await;
        let idle = "no release is in flight: the template asked for is the stable one";
        for (verb, expected) in [
            (&["promote", "shop"][..], idle),
            (&["abort", "shop"], idle),
            (
                &["retry", "shop"],
                "the release is not aborted, expected an aborted one to retry",
            ),
            (
                &["undo", "shop", "--to-revision=9"],
                "revision 9 is unknown, expected one of 1, 2",
            ),
            (
                &["undo", "shop", "--to-revision=2"],
                "revision 2 is the one asked for already",
            ),
        ] {
            let refused = programs.serin(verb);
            assert_eq!(refused.err, format!("serin: {expected}\n"), "{verb:?}");
            assert!(!refused.good);
        }
        assert_eq!(shop.content(&client).await, before);
    });
}

#[test]
fn names_that_are_unknown_are_answered_with_those_that_are_not() {
    with_cluster(async |client, kubeconfig| {
        let full = namespace(&client, "known").await;
        let empty = namespace(&client, "empty").await;
        let shop = Shop::create(&client, &full, "shop", json!({})).await;
        shop.with_run(&client, "shop-1", "2", "Running").await;
        let rollout = format!("rollout {full}/shoe is unknown, expected one of {full}/shop");
        let run = format!("analysis run {full}/shoe is unknown, expected one of {full}/shop-1");
        let programs = Programs::new(kubeconfig, &full);
        for (line, expected) in [
            (&["get", "shoe"][..], &rollout),
            (&["get", "shoe", "--watch"], &rollout),
            (&["status", "shoe"], &rollout),
            (&["abort", "shoe"], &rollout),
            (&["restart", "shoe"], &rollout),
            (&["set", "image", "shoe", "app=shop:2"], &rollout),
            (&["terminate", "ar", "shoe"], &run),
        ] {
            let answer = programs.serin(line);
            assert_eq!(answer.err, format!("serin: {expected}\n"), "{line:?}");
            assert!(!answer.good && answer.out.is_empty(), "{answer:#?}");
        }
        let nowhere = Programs::new(kubeconfig, &empty).serin(&["get", "shop"]);
        let none = format!("rollout {empty}/shop is unknown, there is none in this namespace");
        assert_eq!(nowhere.err, format!("serin: {none}\n"));
    });
}

#[test]
fn a_watch_in_a_pipe_has_a_line_for_each_change() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "watch").await;
        let shop = Shop::create(&client, &namespace, "shop", json!({})).await;
        let programs = Programs::new(kubeconfig, &namespace);
        let mut get = programs.watch(&["get", "shop", "--watch"]);
        let mut list = programs.watch(&["list", "-w"]);
        let mut status = programs.watch(&["status", "shop"]);
        let first = "॥ shop: Paused - CanaryPauseStep, step 1/3, weight 5";
        let line = get.line();
        assert_eq!(line.as_deref(), Some(first), "{}", get.errors());
        assert!(spaced(&list.line().expect("a heading")).starts_with("NAME STRATEGY"));
        let row = list.line().map(|line| spaced(&line));
        assert_eq!(row.as_deref(), Some("shop Canary Paused 1/3 5 2/3 3 1 2"));
        assert_eq!(status.line().as_deref(), Some("Paused - CanaryPauseStep"));

        shop.with_pods(&client).await;
        let pods = get.line().expect("a line for the pods");
        assert!(pods.starts_with(&format!("{first}, revision 2 ")), "{pods}");
        let healthy = json!({"phase": "Healthy", "message": null, "stableRS": "new",
            "currentStepIndex": 3});
        shop.set_status(&client, healthy).await;
        let end = get.until(
            "✔ shop: Healthy, step 3/3, weight 100, revision 2 0/1 ready, revision 1 2/2 ready",
        );
        assert!(end, "{get:#?}");
        let row = list.line().map(|line| spaced(&line));
        assert_eq!(
            row.as_deref(),
            Some("shop Canary Healthy 3/3 100 2/3 3 1 2")
        );
        assert_eq!(status.line().as_deref(), Some("Healthy"));
        assert_eq!(status.end(), Some(0));

        shop.delete(&client).await;
        assert_eq!(get.line(), None);
        assert_eq!(get.end(), Some(1));
        assert!(
            get.errors()
                .contains(&format!("rollout {namespace}/shop is deleted"))
        );
    });
}

#[test]
fn the_kubeconfig_says_where_and_a_wrong_one_says_why_not() {
    with_cluster(async |client, kubeconfig| {
        let namespace = namespace(&client, "context").await;
        Shop::create(&client, &namespace, "shop", json!({})).await;
        let text = std::fs::read_to_string(kubeconfig).expect("a kubeconfig");
        let mut config: Value = serde_json::from_str(&text).expect("is JSON");
        config["contexts"][0]["context"]["namespace"] = json!(namespace);
        config["current-context"] = json!("");
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("config");
        std::fs::write(&file, config.to_string()).expect("a kubeconfig");
        let programs = Programs::anywhere(&file, dir.path());
        let there = programs.serin(&["get", "shop", "--context", "tests"]);
        assert!(
            there
                .out
                .contains(&format!("Namespace:       {namespace}\n")),
            "{there:#?}"
        );
        for (line, expected) in [
            (&["get", "shop"][..], "no context is in use in "),
            (
                &["get", "shop", "--context", "prod"],
                "context \"prod\" is unknown, expected one of tests",
            ),
        ] {
            let answer = programs.serin(line);
            assert!(answer.err.contains(expected), "{answer:#?}");
        }

        config["users"][0]["user"]["token"] = json!("stolen");
        config["current-context"] = json!("tests");
        std::fs::write(&file, config.to_string()).expect("a kubeconfig");
        for line in [
            &["get", "shop"][..],
            &["get", "shop", "-w"],
            &["list"],
            &["abort", "shop"],
        ] {
            let answer = programs.serin(line);
            assert!(
                answer
                    .err
                    .contains("Unauthorized (are the credentials still good?)"),
                "{answer:#?}"
            );
            assert!(!answer.good);
        }

        config["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
        std::fs::write(&file, config.to_string()).expect("a kubeconfig");
        for line in [&["get", "shop"][..], &["get", "shop", "-w"], &["list"]] {
            let answer = programs.serin(line);
            assert!(
                answer.err.starts_with("serin: ask https://127.0.0.1:1: "),
                "{answer:#?}"
            );
            assert_eq!(
                answer.err.matches("Connection refused").count(),
                1,
                "{answer:#?}"
            );
        }
    });
}

fn without_steps(text: &str) -> String {
    let (facts, rest) = text.split_once("STEPS\n").expect("has steps");
    let (_, tree) = rest.split_once("\n\n").expect("has a tree");
    ageless(&format!("{facts}{tree}"))
}

/// Ages differ by when a program ran, and columns by how long an age is.
fn ageless(text: &str) -> String {
    let is_age = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_digit())
            && word.ends_with(['s', 'm'])
            && word
                .chars()
                .all(|c| c.is_ascii_digit() || c == 'm' || c == 's')
    };
    let line = |line: &str| {
        let words = line.split_whitespace();
        let words = words.map(|word| if is_age(word) { "AGE" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
