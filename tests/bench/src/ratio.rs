//! From slots to ratios: costs in, one ratio per variant with its spread out.
//!
//! A slot's cost is taken as the product of what the variant costs, what the machine was like in
//! that round, and noise. In logarithms that is a sum, and fitting it takes the machine's drift
//! out of the ratios even where slots are missing.

/// One slot of one variant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// Envoy's CPU time per request in nanoseconds.
    pub(crate) cost_ns: f64,
    /// The share of both cores' time that went to other processes or other machines.
    pub(crate) others: f64,
}

/// One pass over all variants, in the variants' order.
pub(crate) type Round = Vec<Slot>;

/// One Envoy process: rounds of logarithmic costs, without the slots that others disturbed.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    rounds: Vec<Vec<Option<f64>>>,
    /// The share of slots that were kept.
    pub(crate) kept: f64,
}

/// An estimate and the 90 % interval around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Process {
    /// Drops the slots in which others had a part of Envoy's core or of the load's. They are told
    /// by that alone and never by their cost, and the quieter half stays in any case.
    pub(crate) fn clean(rounds: &[Round]) -> Self {
        /// Above what is left by rounding idleness to hundredths of a second.
        const QUIET: f64 = 0.1;
        let variants = rounds.first().map_or(0, Vec::len);
        let limits: Vec<f64> = (0..variants)
            .map(|variant| {
                let slots = rounds.iter().filter_map(|round| round.get(variant));
                let mut others: Vec<f64> = slots.map(|slot| slot.others).collect();
                others.sort_by(f64::total_cmp);
                others
                    .get(others.len() / 2)
                    .map_or(QUIET, |half| half.max(QUIET))
            })
            .collect();
        let keep = |slot: &Slot, limit: &f64| (slot.others <= *limit).then(|| slot.cost_ns.ln());
        let keep_round =
            |round: &Round| round.iter().zip(&limits).map(|(s, l)| keep(s, l)).collect();
        let rounds: Vec<Vec<Option<f64>>> = rounds.iter().map(keep_round).collect();
        let all = rounds.iter().flatten().count().max(1) as f64;
        let kept = rounds.iter().flatten().flatten().count() as f64 / all;
        Process { rounds, kept }
    }

    /// The typical cost of each variant in nanoseconds.
    pub(crate) fn costs_ns(&self) -> Vec<f64> {
        let rounds: Vec<&Vec<Option<f64>>> = self.rounds.iter().collect();
        fit(&rounds).into_iter().map(f64::exp).collect()
    }
}

/// The costs of all variants over those of `base`, in the variants' order.
///
/// The interval comes from drawing processes, and rounds within them, with replacement.
pub(crate) fn ratios(processes: &[Process], base: usize, random: &mut fastrand::Rng) -> Vec<Ratio> {
    const DRAWS: usize = 400;
    let whole: Vec<Vec<&Vec<Option<f64>>>> = processes
        .iter()
        .map(|process| process.rounds.iter().collect())
        .collect();
    let values = over(&whole, base);
    let mut draws: Vec<Vec<f64>> = vec![Vec::with_capacity(DRAWS); values.len()];
    for _ in 0..DRAWS {
        let drawn: Vec<Vec<&Vec<Option<f64>>>> = draw(&whole, random)
            .into_iter()
            .map(|rounds| draw(rounds, random))
            .map(flat)
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

fn flat<'a>(rounds: Vec<&'a &'a Vec<Option<f64>>>) -> Vec<&'a Vec<Option<f64>>> {
    rounds.into_iter().copied().collect()
}

fn draw<'a, T>(from: &'a [T], random: &mut fastrand::Rng) -> Vec<&'a T> {
    (0..from.len())
        .filter_map(|_| random.choice(from))
        .collect()
}

/// Ratios within each process, averaged over the processes.
fn over(processes: &[Vec<&Vec<Option<f64>>>], base: usize) -> Vec<f64> {
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

/// The logarithmic cost of each variant: alternates between what the rounds share and what the
/// variants add, with the outer quarter of a variant's values on either side left out.
fn fit(rounds: &[&Vec<Option<f64>>]) -> Vec<f64> {
    const PASSES: usize = 6;
    let variants = rounds.first().map_or(0, |round| round.len());
    let mut costs = vec![0.0; variants];
    let mut shared = vec![0.0; rounds.len()];
    for _ in 0..PASSES {
        for (variant, cost) in costs.iter_mut().enumerate() {
            let values = rounds
                .iter()
                .zip(&shared)
                .filter_map(|(round, shared)| Some((*round.get(variant)?)? - shared));
            *cost = trimmed_mean(values.collect());
        }
        for (round, shared) in rounds.iter().zip(&mut shared) {
            *shared = mean(
                round
                    .iter()
                    .zip(&costs)
                    .filter_map(|(slot, cost)| Some((*slot)? - cost)),
            );
        }
    }
    costs
}

fn trimmed_mean(mut values: Vec<f64>) -> f64 {
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

    /// Rounds in which variant `i` costs `costs[i]`, times the machine's drift, times noise.
    fn rounds(costs: &[f64], random: &mut fastrand::Rng) -> Vec<Round> {
        let slot = |cost: f64, drift: f64, noise: f64| Slot {
            cost_ns: cost * drift * noise,
            others: 0.01,
        };
        (0..60)
            .map(|round| {
                let drift = 1.0 + f64::from(round) / 100.0;
                costs
                    .iter()
                    .map(|cost| slot(*cost, drift, 0.98 + 0.04 * random.f64()))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_ratio_is_found_through_drift_and_noise() {
        let mut random = fastrand::Rng::with_seed(1);
        let processes: Vec<Process> = (0..3)
            .map(|_| Process::clean(&rounds(&[30_000.0, 30_000.0, 33_000.0], &mut random)))
            .collect();

        let found = ratios(&processes, 0, &mut random);

        assert_eq!(found.first().map(|ratio| ratio.value), Some(1.0));
        for (ratio, truth) in found.iter().zip([1.0, 1.0, 1.1]) {
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
    fn slots_slowed_by_others_are_left_out() {
        let mut random = fastrand::Rng::with_seed(2);
        let mut rounds = rounds(&[30_000.0, 33_000.0], &mut random);
        for slot in rounds
            .iter_mut()
            .step_by(3)
            .filter_map(|round| round.get_mut(1))
        {
            slot.cost_ns *= 1.5;
            slot.others = 0.5;
        }

        let process = Process::clean(&rounds);

        assert!(
            (process.kept - 5.0 / 6.0).abs() < 0.01,
            "kept {}",
            process.kept
        );
        let found = ratios(&[process], 0, &mut random);
        assert!(
            (found.last().map_or(0.0, |ratio| ratio.value) - 1.1).abs() < 0.01,
            "{found:?}"
        );
    }
}
