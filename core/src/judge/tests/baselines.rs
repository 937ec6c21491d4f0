use super::super::baseline::Verdict;
use super::super::{flagger, threshold};
use super::*;

/// What Argo's rule says at each tick, 15 s apart.
fn argo(ticks: &[Written]) -> Vec<Verdict<threshold::Measurement>> {
    let rule = threshold::Threshold::default();
    let mut run = threshold::Run::begin(&rule, Timestamp(0));
    let ticks = (1..).map(|number| number * 15).zip(ticks);
    ticks
        .map(|(second, written)| run.take(&rule, &tick(second, *written)))
        .collect()
}

/// What Flagger's rule says at each tick, 15 s apart.
fn flagger(ticks: &[Written]) -> Vec<Verdict<flagger::Check>> {
    let rule = flagger::Flagger::default();
    let mut analysis = flagger::Analysis::begin(&rule, Timestamp(0));
    let ticks = (1..).map(|number| number * 15).zip(ticks);
    ticks
        .map(|(second, written)| analysis.take(&rule, &tick(second, *written)))
        .collect()
}

/// The second of the first verdict to take it back.
fn second<Look>(verdicts: &[Verdict<Look>]) -> Option<usize> {
    let tick = verdicts.iter().position(|one| one.name() == "rollback")?;
    Some((tick + 1) * 15)
}

const BAD: Written = [75, 75, 1425, 0];
const GOOD: Written = [75, 0, 1425, 0];
const NOTHING: Written = [0, 0, 1500, 0];

#[test]
fn thresholds_take_an_outage_back_after_four_and_after_six_minutes() {
    assert_eq!(second(&argo(&[BAD; 40])), Some(240));
    assert_eq!(second(&flagger(&[BAD; 40])), Some(360));
}

#[test]
fn silence_is_a_failure_to_both() {
    assert_eq!(second(&argo(&[NOTHING; 40])), Some(240));
    assert_eq!(second(&flagger(&[NOTHING; 40])), Some(360));
}

#[test]
fn failures_are_added_up_over_successes() {
    // Every burst fails two of Argo's windows of two minutes, and one of Flagger's of one.
    let burst: Vec<Written> = [BAD].into_iter().chain([GOOD; 15]).collect();
    let found = argo(&burst.repeat(3));
    assert_eq!(second(&found), Some(360));
    assert_eq!(found[0].to_string(), "looks again in 45 s");
    assert_eq!(
        found[3].to_string(),
        "measurement 1: 75.00 % of 300 succeeded, failed (1) <= failureLimit (3)"
    );
    assert_eq!(
        found.last().unwrap().to_string(),
        "measurement 6: 87.50 % of 600 succeeded, failed (4) > failureLimit (3)"
    );
    let found = flagger(&burst.repeat(6));
    assert_eq!(second(&found), Some(4 * 240 + 60 + 60));
    assert_eq!(
        found[67].to_string(),
        "check 17: 75.00 % of 300 succeeded, failed checks (5) >= threshold (5)"
    );
    assert_eq!(
        flagger(&[NOTHING; 4])[3].to_string(),
        "check 1: no request, failed checks (1) < threshold (5)"
    );
}
