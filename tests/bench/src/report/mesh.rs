//! The table of 10,000 hosts in flight.

use serin_bench::push::{Pushes, median};

use crate::memory::{FURTHER, Memory};
use crate::mesh::Mesh;

/// What a request costs an Envoy in a mesh in microseconds, with one host and with many.
pub(super) type Cpu = [f64; 2];

/// Prints it below the other table.
pub(super) fn print(mesh: &Mesh, cpu: Cpu) {
    println!("10,000 hosts in flight: 2,500 releases, each of a Service with four DNS names");
    println!(
        "{:<40}{:>9}{:>20}{:>20}{:>20}",
        "", "at rest", "1 host", "10,000 hosts", "ratio"
    );
    let kilobytes = |bytes: &Vec<usize>| bytes.iter().sum::<usize>() as f64 / 1_000.0;
    let objects = |bytes: &Vec<usize>| bytes.len() as f64;
    row(
        "EnvoyFilters, kB",
        None,
        mesh.bytes.each_ref().map(kilobytes),
    );
    row("their number", None, mesh.bytes.each_ref().map(objects));

    let written = |pushes: &Pushes| median(&pushes.written);
    let shown = |pushes: &Pushes| median(&pushes.shown);
    let pushes = mesh.pushes.each_ref();
    row("from a write to the proxy, ms", None, pushes.map(shown));
    row("until the write is answered, ms", None, pushes.map(written));

    let memory = |title: &str, of: fn(&Memory) -> f64| {
        row(title, Some(of(&mesh.rest)), mesh.memory.each_ref().map(of));
    };
    memory("memory with one worker, MB", |memory| memory.whole);
    memory("each further worker, MB", |memory| memory.worker);
    memory(&format!("{FURTHER} generations later, MB"), |memory| {
        memory.later
    });
    row("CPU per request, us", None, cpu);
}

fn row(title: &str, rest: Option<f64>, [one, many]: [f64; 2]) {
    let rest = rest.map(|rest| format!("{rest:.1}")).unwrap_or_default();
    // What is less than one is noise.
    let ratio = (one >= 1.0).then(|| format!("{:.2}", many / one));
    let ratio = ratio.unwrap_or_default();
    println!("{title:<40}{rest:>9}{one:>20.1}{many:>20.1}{ratio:>20}");
}
