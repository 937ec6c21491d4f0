use std::io::BufReader;
use std::time::Duration;

use serin_core::judge::{Boundary, Count, Pair, Tick};

use super::*;
use crate::draw::Paint;
use crate::recording::Writer;

fn header(bounds: &[f64]) -> Header {
    Header {
        namespace: "default".to_string(),
        rollout: "shop".to_string(),
        stable: "shop-1".to_string(),
        canary: "shop-2".to_string(),
        begun: Timestamp(1_796_000_000_000),
        bounds: bounds.to_vec(),
    }
}

/// A recording of ticks five seconds apart: weight, canary's requests and failed ones, stable's.
fn recorded(ticks: &[(u16, [u64; 4])]) -> Vec<u8> {
    let header = header(&[]);
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, &header).unwrap();
    let mut at = header.begun;
    for (weight_bp, [requests, failed, of_stable, stable_failed]) in ticks {
        at = at.plus(Duration::from_secs(5));
        let errors = Pair {
            canary: Count::new(*requests, *failed),
            stable: Count::new(*of_stable, *stable_failed),
        };
        let tick = Tick {
            at,
            errors,
            latency: Vec::new(),
        };
        writer
            .write(&Sample {
                weight_bp: *weight_bp,
                tick,
            })
            .unwrap();
    }
    bytes
}

fn replayed_with(bytes: &[u8], alpha: f64) -> Replay {
    let asked = Asked {
        judges: Judge::ALL.to_vec(),
        alpha,
        objective: 0.99,
    };
    replay(Reader::open(BufReader::new(bytes)).unwrap(), &asked).unwrap()
}

fn replayed(bytes: &[u8]) -> Replay {
    replayed_with(bytes, 0.01)
}

/// What each judge came to: its verdict, after so many seconds, with so many failed requests.
fn ends(replay: &Replay) -> Vec<Option<(&'static str, f64, u64)>> {
    let end = |judged: &Judged| {
        let end = judged.end()?;
        Some((end.said.verdict, replay.seconds(end.at), end.failed))
    };
    replay.judged.iter().map(end).collect()
}

#[test]
fn an_outage_is_seen_at_once_by_one_judge_and_late_by_the_others() {
    let replay = replayed(&recorded(&[(1000, [50, 50, 450, 0]); 80]));
    assert_eq!(
        ends(&replay),
        [
            Some(("rollback", 5.0, 50)),
            Some(("rollback", 240.0, 2400)),
            Some(("rollback", 360.0, 3600)),
        ]
    );
    let [compare, threshold, _] = replay.judged.as_slice() else {
        panic!("{replay:?}")
    };
    assert_eq!((compare.changes.len(), threshold.changes.len()), (1, 4));
    assert_eq!(compare.failed, 50);
}

#[test]
fn tenfold_errors_below_the_objective_are_seen_by_one_judge_alone() {
    let ticks: Vec<(u16, [u64; 4])> = (0..80)
        .map(|tick| {
            (
                1000,
                [
                    100,
                    u64::from(tick % 2 == 0),
                    900,
                    u64::from(tick % 3 == 0) / 3,
                ],
            )
        })
        .collect();
    let ends = ends(&replayed(&recorded(&ticks)));
    assert!(matches!(ends[0], Some(("rollback", ..))), "{ends:?}");
    assert_eq!(ends[1..], [None, None]);
}

#[test]
fn a_good_release_is_promoted_and_said_so_once() {
    let replay = replayed(&recorded(&[(1000, [100, 0, 900, 1]); 60]));
    let [Some(("promote", seconds, 0)), None, None] = ends(&replay)[..] else {
        panic!("{replay:?}")
    };
    assert!((15.0..60.0).contains(&seconds), "{seconds}");
    let text = text(&replay, Paint::PLAIN);
    assert_eq!(text.matches("promote  ").count(), 2, "{text}");
}

#[test]
fn the_text_names_the_release_its_changes_and_its_ends() {
    let text = text(
        &replayed(&recorded(&[(550, [50, 50, 450, 0]); 3])),
        Paint::PLAIN,
    );
    let expected = "\
default/shop: canary shop-2 against stable shop-1, 3 ticks in 15 s

    time   weight  judge      verdict       reason
     5 s    5.5 %  compare    rollback      canary fails 50 of its last 50 requests (100 %), stable 0 %

compare    rollback      after 5 s; 50 canary requests failed until then
threshold  no rollback   in 15 s; 150 canary requests failed in that time
flagger    no rollback   in 15 s; 150 canary requests failed in that time
";
    assert_eq!(text, expected);
}

/// The numbers of an attribute, and that no number of the picture is none.
fn numbers(svg: &str, attribute: &str) -> Vec<f64> {
    let marker = format!(" {attribute}=\"");
    let values = svg.split(&marker).skip(1);
    values
        .filter_map(|rest| rest.split('"').next()?.parse().ok())
        .collect()
}

/// Whether every element that is opened is closed, in order.
fn is_well_formed(svg: &str) -> bool {
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let Some((tag, text)) = part.split_once('>') else {
            return false;
        };
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(closed), _) if open.pop() != Some(closed) => return false,
            (None, false) => open.push(name),
            _ => {}
        }
        if tag.matches('"').count() % 2 == 1 || text.contains("]]>") {
            return false;
        }
    }
    open.is_empty()
}

#[test]
fn a_picture_stays_within_its_frame_whatever_was_recorded() {
    let huge = 1 << 45;
    for ticks in [
        vec![],
        vec![(0, [0, 0, 0, 0])],
        vec![(10_000, [huge, huge, huge, 0]); 4],
        vec![(1, [huge, 0, huge, huge]); 4],
        vec![(1000, [7, 1, 70, 1]); 5000],
    ] {
        for alpha in [0.01, 1e-12, 0.999] {
            let svg = chart(&replayed_with(&recorded(&ticks), alpha));
            assert!(is_well_formed(&svg), "{svg}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.len() < 200_000, "{} bytes", svg.len());
            for attribute in ["x", "x1", "x2"] {
                let inside = |x: &f64| (0.0..=960.0).contains(x);
                assert!(numbers(&svg, attribute).iter().all(inside), "{svg}");
            }
            for attribute in ["y", "y1", "y2"] {
                let inside = |y: &f64| (0.0..=660.0).contains(y);
                assert!(numbers(&svg, attribute).iter().all(inside), "{svg}");
            }
        }
    }
}

#[test]
fn latency_is_drawn_where_it_was_measured_and_halves_alpha() {
    let header = header(&[100.0]);
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, &header).unwrap();
    for tick in 1..60 {
        let counted = |requests, slow| Count::new(requests, slow);
        let errors = Pair {
            canary: counted(100, 0),
            stable: counted(900, 0),
        };
        let slower = Pair {
            canary: counted(100, 30),
            stable: counted(900, 90),
        };
        let tick = Tick {
            at: header.begun.plus(Duration::from_secs(5 * tick)),
            errors,
            latency: vec![Boundary {
                bound: 100.0,
                slower,
            }],
        };
        writer
            .write(&Sample {
                weight_bp: 1000,
                tick,
            })
            .unwrap();
    }
    let replay = replayed(&bytes);
    let sentence = &replay.judged[0].end().unwrap().said.sentence;
    assert!(
        sentence.starts_with("canary takes longer than 100 ms 3.0 times"),
        "{sentence}"
    );
    let (with, without) = (chart(&replay), chart(&replayed(&recorded(&[]))));
    assert!(with.contains("rollback 2/α = 200") && with.contains("it is slower"));
    assert!(without.contains("rollback 1/α = 100") && !without.contains("it is slower"));
}
