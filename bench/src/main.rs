//! The benchmarks: Sisal beside its peers, in one run, as ratios. `tools/bench` builds and runs this.
//!
//! Each section measures and gives rows; its results are kept in `bench/results/SECTION.json`, and `docs/performance.md` is
//! written anew from all of them, those of earlier runs included. How times are taken is in [`race`], what the tables look
//! like in [`report`].

mod calls;
mod commands;
mod components;
mod machine;
mod network;
mod race;
mod report;

use report::{Report, Section};
use std::{env, error::Error, process::ExitCode};

/// What any of this gives: errors are for whoever ran it to read.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A section's name, and what measures it.
type Measured = (&'static str, fn() -> Result<Section>);

/// In the order of the report.
const SECTIONS: [Measured; 5] = [
    ("calls", calls::measure),
    ("components", components::measure),
    ("commands", commands::measure),
    ("machine", machine::measure),
    ("network", network::measure),
];

/// The argument with which this only says what commands take, in the machine that it has been put into (`bench/src/machine`).
const INSIDE: &str = "--commands-inside";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let done = if arguments == [INSIDE] { commands::print() } else { run(&arguments) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[String]) -> Result<()> {
    let names = SECTIONS.map(|(name, _)| name);
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("there is no section {unknown}; there are: {}", names.join(", ")).into());
    }
    // Before anything takes long.
    race::rounds()?;
    let mut report = Report::open(&names)?;
    for (name, measure) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("bench: {name}");
            report.put(name, measure()?)?;
        }
    }
    report.write()
}
