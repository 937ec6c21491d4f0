//! The tables, in README's own words, and which goals were missed.
#![expect(clippy::print_stdout, reason = "this is what the program is for")]

use serin_core::judge::verdict::{grouped, percent};

use crate::latency;
use crate::many::Summary;
use crate::ramp::RELEASE;
use crate::release::{End, RULES};
use crate::rows::{Goal, Row};
use crate::service::{Bursts, Service, Trouble};

/// What is known after the rows so far.
#[derive(Default)]
pub(crate) struct Report {
    missed: Vec<String>,
    /// Bad releases that were over before they were taken back.
    over: usize,
    /// Those of them that the judge would have let on.
    let_on: usize,
}

impl Report {
    pub(crate) fn begin_healthy(&self, releases: usize) {
        println!(
            "False alarms in 1,000 healthy releases ({} a row):\n",
            grouped(releases as u64)
        );
        println!(
            "| requests/s, share of both that fails | {} | goal |",
            RULES.join(" | ")
        );
        println!("|---|---|---|---|---|");
    }

    pub(crate) fn healthy(&mut self, row: &Row, ends: &[[End; RULES.len()]]) {
        let name = healthy_name(row.service);
        let rules = summaries(ends);
        self.judge(&name, row.goal, rules[0]);
        let goal = match row.goal {
            Goal::FalseAlarms(most) => format!("{most}"),
            _ => String::new(),
        };
        let cells = rules.map(|rule| of_1000(rule.per_1000)).join(" | ");
        println!("| {name} | {cells} | {goal} |");
    }

    pub(crate) fn begin_bad(&self) {
        println!(
            "\nBad releases: how many of 1,000 are taken back, after how many seconds (median),"
        );
        println!("and how many requests the canary has failed until then, or to the end (mean):\n");
        println!(
            "| requests/s, canary fails, stable fails | {} |",
            RULES.join(" | ")
        );
        println!("|---|---|---|---|");
    }

    pub(crate) fn bad(&mut self, row: &Row, ends: &[[End; RULES.len()]]) {
        let name = bad_name(row.service);
        let rules = summaries(ends);
        self.judge(&name, row.goal, rules[0]);
        for [compare, ..] in ends {
            self.over += usize::from(compare.taken_back.is_none());
            self.let_on += usize::from(compare.taken_back.is_none() && compare.good);
        }
        let cells = rules.map(|rule| {
            let (found, failed) = (of_1000(rule.per_1000), decimal(rule.failed));
            format!("{found}; {}; {failed}", seconds(rule))
        });
        println!("| {name} | {} |", cells.join(" | "));
    }

    pub(crate) fn begin_latency(&self, releases: usize) {
        let (over, let_on) = (self.over, self.let_on);
        println!(
            "\nOf {over} bad releases that `compare` had not taken back after {} s it would",
            grouped(RELEASE)
        );
        println!("have let {let_on} go on, and held the others.");
        let rates = latency::RATES.map(|rate| format!("{}/s", grouped(rate as u64)));
        println!(
            "\nLatency, which `compare` alone judges: how many of 1,000 are taken back, after how many"
        );
        println!("seconds ({} a cell):\n", grouped(releases as u64));
        println!("| canary's requests | {} |", rates.join(" | "));
        println!("|---|---|---|---|");
    }

    pub(crate) fn latency(&mut self, row: &latency::Row, ends: &[Vec<End>; latency::RATES.len()]) {
        let mut cells = Vec::new();
        for (ends, rate) in ends.iter().zip(latency::RATES) {
            let summary = Summary::of(ends.iter().copied());
            self.judge(&format!("{}, {rate}/s", row.name), row.goal, summary);
            cells.push(match row.goal {
                Goal::FalseAlarms(_) => of_1000(summary.per_1000),
                _ => format!("{}; {}", of_1000(summary.per_1000), seconds(summary)),
            });
        }
        println!("| {} | {} |", row.name, cells.join(" | "));
    }

    /// Prints what was missed; whether nothing was.
    pub(crate) fn end(&self) -> bool {
        for missed in &self.missed {
            println!("\ngoal missed: {missed}");
        }
        self.missed.is_empty()
    }

    fn judge(&mut self, name: &str, goal: Goal, found: Summary) {
        let per_1000 = found.per_1000;
        let missed = match goal {
            Goal::FalseAlarms(most) if per_1000 > most => {
                format!("{per_1000:.2} false alarms, at most {most} expected")
            }
            Goal::Found | Goal::FoundIn(_) if per_1000 < 1000.0 => {
                format!("{per_1000:.2} of 1,000 found, expected all")
            }
            Goal::FoundIn(most) if found.median.is_none_or(|median| median > most) => {
                format!("found after {}, expected {most} s", seconds(found))
            }
            _ => return,
        };
        self.missed.push(format!("{name}: {missed}"));
    }
}

fn summaries(ends: &[[End; RULES.len()]]) -> [Summary; RULES.len()] {
    std::array::from_fn(|rule| Summary::of(ends.iter().filter_map(|end| end.get(rule)).copied()))
}

fn healthy_name(service: Service) -> String {
    let Service { rate, stable, .. } = service;
    let (rate, share) = (grouped(rate as u64), percent(stable));
    format!("{rate}, {share}{}", trouble(service.trouble))
}

fn bad_name(service: Service) -> String {
    let Service {
        rate,
        canary,
        stable,
        ..
    } = service;
    let (rate, canary, stable) = (grouped(rate as u64), percent(canary), percent(stable));
    format!("{rate}, {canary}, {stable}{}", trouble(service.trouble))
}

fn trouble(trouble: Trouble) -> String {
    match trouble {
        Trouble::None => String::new(),
        Trouble::Shared { share, seconds } => {
            format!(", and {} for {} minutes", percent(share), seconds / 60)
        }
        Trouble::Bursts(Bursts {
            variation,
            correlation,
        }) if correlation > 0.0 => {
            format!(", in bursts: CV {variation}, lasting (AR {correlation})")
        }
        Trouble::Bursts(Bursts { variation, .. }) => {
            format!(", in bursts: CV {variation}, each tick anew")
        }
    }
}

/// How many of 1,000, rounded down where it is much: all is said of all only.
fn of_1000(number: f64) -> String {
    decimal(if number < 100.0 {
        number
    } else {
        number.floor()
    })
}

/// With a digit after the point where it matters.
fn decimal(number: f64) -> String {
    if number >= 100.0 || number == 0.0 {
        grouped(number.round() as u64)
    } else {
        format!("{number:.1}")
    }
}

fn seconds(summary: Summary) -> String {
    summary
        .median
        .map_or_else(|| "never".to_string(), |median| format!("{median} s"))
}
