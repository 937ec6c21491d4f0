use super::*;

fn needs(parameters: &Parameters, ticks: &[Written]) -> Option<u64> {
    let found = verdicts(parameters, ticks);
    match found.last().unwrap().reason() {
        Reason::Needs { requests, .. } => *requests,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_it_says_it_needs_is_about_what_it_needs() {
    // A canary that is as good as stable: one in 200 fails.
    let written = |number: u64| {
        let new = |per: u64, each: u64| (number + 1) * per / each - number * per / each;
        [100, new(1, 2), 1_900, new(19, 2)]
    };
    let ticks: Vec<Written> = (0..60).map(written).collect();
    let found = verdicts(&errors_only(), &ticks);
    let promoted = found
        .iter()
        .position(|one| one.name() == "promote")
        .unwrap();
    let said = needs(&errors_only(), &ticks[..5]).unwrap();
    let left = (promoted as u64 - 4) * 100;
    assert!(
        said / 2 <= left && left <= said * 2,
        "said {said}, left {left}"
    );
}

#[test]
fn without_an_error_some_four_hundred_requests_are_enough_at_one_percent() {
    let found = verdicts(&errors_only(), &[[50, 0, 950, 0]; 10]);
    let promoted = found
        .iter()
        .position(|one| one.name() == "promote")
        .unwrap();
    let requests = (promoted + 1) * 50;
    assert!((298..450).contains(&requests), "{requests}");
}

#[test]
fn no_number_is_enough_for_one_that_fails_as_often_as_is_not_tolerated() {
    let found = verdicts(&errors_only(), &[[100, 1, 0, 0]; 3]);
    assert_eq!(
        found[2].to_string(),
        "no number of requests is enough while both fail so often (3 of 300 against 0 of 0)"
    );
}

#[test]
fn the_time_it_takes_is_at_least_what_was_asked_for() {
    let mut parameters = errors_only();
    parameters.promotion.minimum = Duration::from_secs(600);
    let found = verdicts(&parameters, &[[100, 0, 1_900, 0]; 40]);
    assert_eq!(found[38].name(), "wait");
    assert_eq!(found[39].name(), "promote");
    assert_eq!(
        found[9].to_string(),
        "canary is as good as stable (0 of 1,000 against 0 of 19,000) and is watched for 8 min more"
    );
}
