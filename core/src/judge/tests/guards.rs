use super::*;

#[test]
fn a_total_outage_trips_in_the_first_tick() {
    let found = verdicts(&errors_only(), &[[75, 75, 1425, 7]]);
    assert_eq!(
        found[0].to_string(),
        "canary fails 75 of its last 75 requests (100 %), stable 0.49 %"
    );
    assert_eq!(found[0].name(), "rollback");
}

#[test]
fn with_few_requests_it_trips_once_eight_have_failed_and_none_has_not() {
    let found = verdicts(&errors_only(), &[[7, 7, 143, 0], [1, 1, 149, 1]]);
    assert_eq!(found[0].name(), "wait");
    assert_eq!(found[1].name(), "rollback");
    let one_good = verdicts(&errors_only(), &[[9, 8, 143, 20]]);
    assert_eq!(one_good[0].name(), "hold");
}

#[test]
fn what_stable_suffers_too_does_not_trip() {
    let found = verdicts(&errors_only(), &[[75, 75, 1425, 1400]; 6]);
    assert!(found.iter().all(|one| one.name() == "hold"), "{found:?}");
}

#[test]
fn a_canary_alone_that_burns_its_budget_is_taken_back() {
    // Without stable there is nothing to compare with.
    let found = verdicts(&errors_only(), &[[200, 40, 0, 0]; 2]);
    assert!(
        matches!(found[0], Verdict::RollBack(Reason::Burns { .. })),
        "{found:?}"
    );
    assert_eq!(
        found[0].to_string(),
        "canary fails 20 times as fast as its objective allows (40 of 200 in the last minute)"
    );
    let slow = verdicts(&errors_only(), &[[200, 20, 0, 0]; 8]);
    assert!(slow.iter().all(|one| one.name() != "rollback"), "{slow:?}");
}

#[test]
fn a_difference_too_small_to_matter_takes_nothing_back() {
    let sure = [100_000, 1_300, 100_000, 1_000];
    let found = verdicts(&errors_only(), &[sure; 4]);
    assert!(
        found.iter().all(|one| one.name() != "rollback"),
        "{found:?}"
    );
    let tiny = [1_000_000, 60, 1_000_000, 20];
    let found = verdicts(&errors_only(), &[tiny; 4]);
    assert!(
        found.iter().all(|one| one.name() != "rollback"),
        "{found:?}"
    );
}

#[test]
fn tenfold_under_the_objective_does_not_go_on_and_is_taken_back() {
    let found = verdicts(&errors_only(), &[[500, 3, 9_500, 5]; 8]);
    assert!(found.iter().all(|one| one.name() != "promote"), "{found:?}");
    assert_eq!(found.last().unwrap().name(), "rollback");
}

#[test]
fn silence_is_no_failure() {
    let parameters = Parameters {
        deadline: Duration::from_secs(60),
        ..errors_only()
    };
    let found = verdicts(&parameters, &[[0, 0, 0, 0]; 5]);
    assert_eq!(found[2].to_string(), "canary had no request (stable had 0)");
    assert_eq!(found[3].name(), "inconclusive");
    let endless = Parameters {
        endless: true,
        ..parameters
    };
    let found = verdicts(&endless, &[[10, 0, 190, 0]; 9]);
    assert_eq!(
        found[8].name(),
        "wait",
        "it goes on as long as it is needed"
    );
    let found = verdicts(&endless, &[[0, 0, 190, 0]; 9]);
    assert_eq!(found[8].name(), "inconclusive");
}

#[test]
fn stable_that_is_ill_holds_and_its_end_lets_go() {
    let mut ticks = vec![[75, 4, 1425, 100]; 4];
    ticks.extend([[75, 0, 1425, 0]; 100]);
    let found = verdicts(&errors_only(), &ticks);
    assert_eq!(found[0].name(), "hold");
    assert_eq!(found.last().unwrap().name(), "promote");
}
