//! The table, and whether the goals are reached.

mod mesh;

use crate::mesh::Mesh;
use crate::ratio::{self, Process, Ratio};
use crate::variant::Variant;

/// What a variant may cost at most, as a multiple of another's cost.
struct Goal {
    variant: &'static str,
    base: &'static str,
    at_most: f64,
    /// Missing a goal that must hold fails the run; the others are wishes.
    must_hold: bool,
}

const GOALS: [Goal; 4] = [
    Goal {
        variant: "full",
        base: "noop",
        at_most: 1.04,
        must_hold: true,
    },
    Goal {
        variant: "rest",
        base: "bare",
        at_most: 1.03,
        must_hold: true,
    },
    Goal {
        variant: "mesh-10000",
        base: "mesh-1",
        at_most: 1.02,
        must_hold: true,
    },
    Goal {
        variant: "full",
        base: "lua",
        at_most: 1.00,
        must_hold: false,
    },
];

/// The variants that all others are compared with.
const BASES: [&str; 3] = ["native", "bare", "noop"];

/// Two equal listeners that differ by more say that the machine is too busy to judge.
const TRUSTED: f64 = 0.01;

/// Prints the tables; true if every goal that must hold is reached.
pub(crate) fn print(variants: &[Variant], processes: &[Process], mesh: Option<&Mesh>) -> bool {
    let mut random = fastrand::Rng::with_seed(7);
    let position = |name: &str| variants.iter().position(|variant| variant.name == name);
    let mut against = |base: &str| {
        position(base)
            .map(|base| ratio::ratios(processes, base, &mut random))
            .unwrap_or_default()
    };
    let columns = BASES.map(&mut against);
    let costs: Vec<Vec<f64>> = processes.iter().map(Process::costs_ns).collect();

    println!("Envoy's CPU time per request, with 90 % intervals");
    println!(
        "{:<40}{:>9}{:>20}{:>20}{:>20}",
        "", "us", "/native", "/no filter", "/no-op SDK filter"
    );
    let microseconds = |variant: usize| {
        let all = costs.iter().filter_map(|costs| costs.get(variant));
        all.sum::<f64>() / costs.len().max(1) as f64 / 1_000.0
    };
    for (i, variant) in variants.iter().enumerate() {
        let microseconds = microseconds(i);
        print!("{:<40}{microseconds:>9.2}", variant.title);
        for column in &columns {
            print!("{:>20}", column.get(i).map(shown).unwrap_or_default());
        }
        println!();
    }
    println!();
    if let Some(mesh) = mesh {
        let cpu = ["mesh-1", "mesh-10000"].map(|name| position(name).map_or(0.0, microseconds));
        mesh::print(mesh, cpu);
        println!();
    }

    let mut reached = true;
    for goal in &GOALS {
        let found = position(goal.variant).and_then(|i| against(goal.base).get(i).copied());
        let Some(found) = found else { continue };
        let holds = found.value <= goal.at_most;
        reached &= holds || !goal.must_hold;
        println!(
            "{:<7} {} / {}: {}, goal at most {:.2}{}",
            if holds { "reached" } else { "MISSED" },
            goal.variant,
            goal.base,
            shown(&found),
            goal.at_most,
            if goal.must_hold { "" } else { " (a stretch)" },
        );
    }
    let twin = position("twin").and_then(|i| columns.first()?.get(i).copied());
    if let Some(twin) = twin.filter(|twin| (twin.value - 1.0).abs() > TRUSTED) {
        println!(
            "two equal listeners differ ({}): this machine is too busy to judge",
            shown(&twin)
        );
    }
    reached
}

fn shown(ratio: &Ratio) -> String {
    format!("{:.3} {:.3}-{:.3}", ratio.value, ratio.low, ratio.high)
}
