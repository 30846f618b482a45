//! The program that `sisal run` runs when none is named: a tour of what a program finds on Sisal.
//!
//! It uses each area of WASI, checks what it gets and says what it saw. Its exit code is 0 if everything was right.

mod areas;
mod files;
mod poll;

use std::fmt::Display;
use std::process::ExitCode;

type Area = fn(&mut Tour) -> Result<String, Fault>;

const AREAS: [(&str, Area); 7] = [
    ("arguments", areas::arguments),
    ("environment", areas::environment),
    ("stdio", areas::stdio),
    ("clocks", areas::clocks),
    ("random", areas::random),
    ("files", files::files),
    ("polling", poll::polling),
];

fn main() -> ExitCode {
    println!(
        "This program is WebAssembly. Under it are WASI, a kernel and a (virtual) machine; no other system.\n"
    );
    let mut tour = Tour { checks: 0 };
    let mut faults = 0;
    for (name, area) in AREAS {
        match area(&mut tour) {
            Ok(seen) => println!("  {name:12} {seen}"),
            Err(Fault(fault)) => {
                println!("  {name:12} WRONG: {fault}");
                faults += 1;
            }
        }
    }
    if faults > 0 {
        println!("\n{faults} of {} areas are not as they should be.", AREAS.len());
        return ExitCode::FAILURE;
    }
    println!("\nAll {} checks passed. Now run a program of yours: sisal run PROGRAM.wasm", tour.checks);
    ExitCode::SUCCESS
}

/// What was wrong.
struct Fault(String);

impl<E: Display> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Counts the checks.
struct Tour {
    checks: usize,
}

impl Tour {
    /// Checks that something `is` so; `what` says what is wrong if it is not.
    fn check(&mut self, is: bool, what: impl Display) -> Result<(), Fault> {
        self.checks += 1;
        if is { Ok(()) } else { Err(Fault(what.to_string())) }
    }
}
