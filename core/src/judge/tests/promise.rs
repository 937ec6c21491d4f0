//! What the judge promises: a healthy canary's evidence ever reaches 1/alpha with probability alpha at
//! most. The theorem holds for any number of looks; here are a thousand of each release.

use super::*;

const ALPHA: f64 = 0.01;
const RUNS: u64 = 20_000;
/// Looks at each weight of the release, a thousand in all.
const LOOKS: usize = 250;
/// Requests in a tick.
const REQUESTS: u64 = 40;
/// Those to the canary, one after the other: 5, 10, 25 and 50 %.
const SPLITS: [u64; 4] = [2, 4, 10, 20];
/// What fails of both, in turns from run to run. Few, for then chance is at its largest: one error of
/// the canary's is an e-value of 7 at 5 %.
const FAILS: [f64; 4] = [0.001, 0.003, 0.005, 0.01];

#[test]
fn plain_evidence_blames_a_healthy_canary_once_in_a_hundred_at_most() {
    keeps_its_promise(&Rule {
        null: 1.0,
        alternatives: &WORSE,
        cap: None,
        dispersion: 0.0,
        tails: false,
    });
}

#[test]
fn evidence_as_it_is_used_does_too() {
    keeps_its_promise(&Rule {
        null: 1.0,
        alternatives: &WORSE,
        cap: cap(WORSE.len(), ALPHA, 3),
        dispersion: 0.5,
        tails: true,
    });
}

/// The claim is "at most alpha", so the share observed may be no more: it lies some way below (the
/// evidence overshoots, and a thousand looks are not all), three standard deviations and more, and a
/// rule whose true share is alpha or above fails here with probability 1/2 or more. The runs are the
/// same every time.
fn keeps_its_promise(rule: &Rule) {
    let mut random = fastrand::Rng::with_seed(1);
    let draws = FAILS.map(Draw::new);
    let enough = (1.0 / ALPHA).ln();
    let blamed = (0..RUNS)
        .zip(draws.iter().cycle())
        .filter(|(_, draw)| {
            let mut evidence = Evidence::default();
            let mut looks = SPLITS
                .iter()
                .flat_map(|canary| std::iter::repeat_n(*canary, LOOKS));
            looks.any(|canary| {
                // Nothing changes in a tick without a bad one; most have none, and time is short.
                let Some(tick) = draw.tick(canary, &mut random) else {
                    return false;
                };
                evidence.take(tick, rule);
                evidence.ln() >= enough
            })
        })
        .count();
    let allowed = ALPHA * RUNS as f64;
    assert!(blamed as f64 <= allowed, "{blamed} of {RUNS}");
    assert!(blamed > 0, "the test sees nothing");
}

/// How many of a tick's requests are bad, drawn by inversion.
struct Draw {
    /// The probability of so many or fewer.
    up_to: Vec<f64>,
}

impl Draw {
    fn new(fails: f64) -> Draw {
        let (mut one, mut sum) = ((1.0 - fails).powi(REQUESTS as i32), 0.0);
        let up_to = (0..=REQUESTS).map(|bad| {
            sum += one;
            one *= (REQUESTS - bad) as f64 / (bad + 1) as f64 * fails / (1.0 - fails);
            sum
        });
        Draw {
            up_to: up_to.collect(),
        }
    }

    /// A tick with so many requests to the canary; none if nothing in it is bad.
    fn tick(&self, canary: u64, random: &mut fastrand::Rng) -> Option<Pair> {
        let uniform = random.f64();
        if uniform < self.up_to[0] {
            return None;
        }
        let bad = self.up_to.iter().take_while(|up_to| **up_to <= uniform);
        let mut tick = pair([canary, 0, REQUESTS - canary, 0]);
        for _ in 0..bad.count() {
            // Any of those that are not bad yet is as likely the next.
            let good = canary - tick.canary.bad;
            let left = REQUESTS - tick.canary.bad - tick.stable.bad;
            if random.u64(0..left) < good {
                tick.canary.bad += 1;
            } else {
                tick.stable.bad += 1;
            }
        }
        Some(tick)
    }
}
