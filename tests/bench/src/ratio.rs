//! From slots to ratios: costs in, one ratio per variant with its spread out.
//!
//! A slot's cost is taken as the product of what the variant costs, what the machine was like in
//! that round, and noise. In logarithms that is a sum, and taking each round's mean away leaves
//! what the variants differ by, however the machine changes from round to round.

/// One pass over all variants: what a request cost each, in nanoseconds and in the variants' order.
pub(crate) type Round = Vec<f64>;

/// One Envoy process: the logarithmic costs of its calm rounds.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    rounds: Vec<Vec<f64>>,
}

/// An estimate and the 90 % interval around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Process {
    /// Keeps the third of the rounds in which all variants together cost least: then the machine
    /// was at its calmest. What others do to caches and clock rates shows in nothing else, and
    /// the sum over all variants favours none of them.
    pub(crate) fn calm(rounds: &[Round]) -> Self {
        const PART: usize = 3;
        let logarithms = |round: &Round| round.iter().map(|cost| cost.ln()).collect::<Vec<_>>();
        let mut rounds: Vec<Vec<f64>> = rounds.iter().map(logarithms).collect();
        rounds.sort_by(|a, b| mean(a.iter().copied()).total_cmp(&mean(b.iter().copied())));
        rounds.truncate(rounds.len().div_ceil(PART));
        Process { rounds }
    }

    /// The typical cost of each variant in nanoseconds.
    pub(crate) fn costs_ns(&self) -> Vec<f64> {
        let all = self.rounds.iter().flatten().copied();
        let level = mean(all).exp();
        let rounds: Vec<&Vec<f64>> = self.rounds.iter().collect();
        fit(&rounds)
            .into_iter()
            .map(|cost| level * cost.exp())
            .collect()
    }
}

/// The costs of all variants over those of `base`, in the variants' order.
///
/// The interval comes from drawing processes, and rounds within them, with replacement.
pub(crate) fn ratios(processes: &[Process], base: usize, random: &mut fastrand::Rng) -> Vec<Ratio> {
    const DRAWS: usize = 400;
    let whole: Vec<Vec<&Vec<f64>>> = processes
        .iter()
        .map(|process| process.rounds.iter().collect())
        .collect();
    let values = over(&whole, base);
    let mut draws: Vec<Vec<f64>> = vec![Vec::with_capacity(DRAWS); values.len()];
    for _ in 0..DRAWS {
        let drawn: Vec<Vec<&Vec<f64>>> = draw(&whole, random)
            .iter()
            .map(|rounds| draw(rounds, random))
            .collect();
        for (all, value) in draws.iter_mut().zip(over(&drawn, base)) {
            all.push(value);
        }
    }
    values
        .into_iter()
        .zip(draws)
        .map(|(value, mut draws)| {
            draws.sort_by(f64::total_cmp);
            let at = |percent: usize| draws.get(draws.len() * percent / 100).copied();
            Ratio {
                value,
                low: at(5).unwrap_or(value),
                high: at(95).unwrap_or(value),
            }
        })
        .collect()
}

fn draw<T: Clone>(from: &[T], random: &mut fastrand::Rng) -> Vec<T> {
    (0..from.len())
        .filter_map(|_| random.choice(from).cloned())
        .collect()
}

/// Ratios within each process, averaged over the processes.
fn over(processes: &[Vec<&Vec<f64>>], base: usize) -> Vec<f64> {
    let fits: Vec<Vec<f64>> = processes.iter().map(|rounds| fit(rounds)).collect();
    let variants = fits.first().map_or(0, Vec::len);
    (0..variants)
        .map(|variant| {
            let logs = fits
                .iter()
                .filter_map(|fit| Some(fit.get(variant)? - fit.get(base)?));
            mean(logs).exp()
        })
        .collect()
}

/// Each variant's logarithmic cost above the mean of its round.
fn fit(rounds: &[&Vec<f64>]) -> Vec<f64> {
    let means: Vec<f64> = rounds
        .iter()
        .map(|round| mean(round.iter().copied()))
        .collect();
    let above = |variant: usize| {
        let slots = rounds.iter().zip(&means);
        slots.filter_map(move |(round, mean)| Some(round.get(variant)? - mean))
    };
    let variants = rounds.first().map_or(0, |round| round.len());
    (0..variants)
        .map(|variant| middle(above(variant).collect()))
        .collect()
}

/// The mean of the middle half, which single disturbed slots cannot move.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 4;
    mean(
        values
            .iter()
            .copied()
            .skip(cut)
            .take(values.len() - 2 * cut),
    )
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: [f64; 3] = [30_000.0, 30_000.0, 33_000.0];

    /// Rounds of [`COSTS`], times the machine's drift, times noise.
    fn rounds(random: &mut fastrand::Rng) -> Vec<Round> {
        let drift = |round| 1.0 + f64::from(round) / 100.0;
        let mut noisy = |cost: f64, round| cost * drift(round) * (0.98 + 0.04 * random.f64());
        (0..180)
            .map(|round| COSTS.iter().map(|cost| noisy(*cost, round)).collect())
            .collect()
    }

    fn check(processes: &[Process], random: &mut fastrand::Rng) {
        for (ratio, truth) in ratios(processes, 0, random).iter().zip([1.0, 1.0, 1.1]) {
            assert!(
                (ratio.value - truth).abs() < 0.01,
                "{ratio:?} is not {truth}"
            );
            assert!(
                ratio.low <= ratio.value && ratio.value <= ratio.high,
                "{ratio:?}"
            );
        }
    }

    #[test]
    fn a_ratio_is_found_through_drift_and_noise() {
        let mut random = fastrand::Rng::with_seed(1);
        let processes: Vec<Process> = (0..3)
            .map(|_| Process::calm(&rounds(&mut random)))
            .collect();
        check(&processes, &mut random);
    }

    #[test]
    fn single_disturbed_slots_do_not_move_a_ratio() {
        let mut random = fastrand::Rng::with_seed(2);
        let mut rounds = rounds(&mut random);
        for slot in rounds
            .iter_mut()
            .step_by(10)
            .filter_map(|round| round.get_mut(1))
        {
            *slot *= 1.05;
        }
        check(&[Process::calm(&rounds)], &mut random);
    }

    #[test]
    fn the_costs_are_those_of_the_calm_rounds() {
        let busy = COSTS.map(|cost| cost * 2.0);
        let rounds = [busy.to_vec(), COSTS.to_vec(), busy.to_vec()];
        for (found, truth) in Process::calm(&rounds).costs_ns().iter().zip(COSTS) {
            assert!((found - truth).abs() < 1.0, "{found} is not {truth}");
        }
    }
}
