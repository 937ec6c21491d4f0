use super::*;

#[test]
fn verdicts_are_sentences() {
    let counted = pair([9_800, 412, 98_100, 1_330]);
    let says = |verdict: Verdict| verdict.to_string();
    assert_eq!(
        says(Verdict::RollBack(Reason::FailsMore {
            counted,
            odds: 10_432.0
        })),
        "canary fails 3.1 times as often as stable (412 of 9,800 against 1,330 of 98,100); odds of \
         this by chance below 1 in 10,000"
    );
    assert_eq!(
        says(Verdict::GoOn(Reason::Needs {
            requests: Some(1_893),
            time: Some(Duration::from_secs(363)),
            counted,
        })),
        "needs about 1,900 more requests: 6 min at this rate (412 of 9,800 against 1,330 of 98,100)"
    );
    let stable = Count::new(1_000, 42);
    assert_eq!(
        says(Verdict::Hold(Reason::StableIll { stable })),
        "stable is failing too (4.2 %): holding"
    );
    let at = Boundary {
        bound: 250.0,
        slower: pair([100, 9, 1_900, 0]),
    };
    assert_eq!(
        says(Verdict::RollBack(Reason::Slower {
            at,
            odds: f64::INFINITY
        })),
        "canary takes longer than 250 ms and stable does not (9 of 100 against 0 of 1,900); odds of \
         this by chance below 1 in 1,000,000,000"
    );
    assert_eq!(
        says(Verdict::Inconclusive(Reason::NoRequests { stable: 12_345 })),
        "no verdict in time: canary had no request (stable had 12,345)"
    );
}

#[test]
fn what_is_said_of_the_odds_is_never_more_than_is_known() {
    for odds in [1.0, 99.9, 100.0, 209.9, 1_999.0] {
        let counted = pair([10, 5, 90, 1]);
        let said = Reason::FailsMore { counted, odds }.to_string();
        let number = said.rsplit(' ').next().unwrap().replace(',', "");
        assert!(number.parse::<f64>().unwrap() <= odds, "{said}");
    }
}
