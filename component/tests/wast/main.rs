//! Runs scripts (`.wast`): our own, which are beside this file, or the official ones by hand:
//!
//! `cargo test -p component --test wast -- --suite DIRECTORY [FILTER]…`, where DIRECTORY is `test` of a checkout of
//! github.com/WebAssembly/component-model.
//!
//! Every script runs twice, with as much fuel as it likes and in slices of 20, which preempts at every boundary. What it expects
//! of a trap's text is held against ours by the table in expectations.rs. Of our own scripts nothing may be skipped; what the
//! official ones need and is not there is skipped with the reason, by the table there.

mod expectations;
mod host;
mod script;
mod values;

use script::{Outcome, Script};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The fuel of a slice.
const SLICES: [(&str, u64); 2] = [("unsliced", u64::MAX), ("sliced", 20)];

/// How many directives have come to what end.
#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

fn main() -> ExitCode {
    let mut suite = None;
    let mut filters = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--suite" => suite = arguments.next().map(PathBuf::from),
            // What cargo hands to all tests alike.
            flag if flag.starts_with('-') => {}
            _ => filters.push(argument),
        }
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wast");
    let directory = suite.as_deref().unwrap_or(&own);
    let mut files = Vec::new();
    if let Err(error) = scripts(directory, &mut files) {
        eprintln!("{}: {error}", directory.display());
        return ExitCode::FAILURE;
    }
    files.sort();
    let name = |file: &Path| file.strip_prefix(directory).unwrap_or(file).display().to_string();
    files.retain(|file| filters.is_empty() || filters.iter().any(|filter| name(file).contains(filter)));
    if files.is_empty() && filters.is_empty() {
        eprintln!("{}: no scripts", directory.display());
        return ExitCode::FAILURE;
    }
    let mut good = true;
    for (slicing, fuel) in SLICES {
        let mut total = Counts::default();
        let mut directories = BTreeMap::<PathBuf, Counts>::new();
        let mut reasons = BTreeMap::<&str, usize>::new();
        for file in &files {
            let counts = run(file, &format!("{} ({slicing})", name(file)), fuel, &mut reasons);
            total.add(&counts);
            directories.entry(file.parent().unwrap_or(directory).to_owned()).or_default().add(&counts);
        }
        for (directory, counts) in &directories {
            report(&format!("{} ({slicing})", directory.display()), counts);
        }
        report(&format!("all ({slicing})"), &total);
        for (reason, count) in &reasons {
            println!("    {count} skipped: {reason}");
        }
        good &= total.failed == 0 && (suite.is_some() || total.skipped == 0);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All scripts in `directory` and below.
fn scripts(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            scripts(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "wast") {
            files.push(path);
        }
    }
    Ok(())
}

fn run(file: &Path, name: &str, fuel: u64, reasons: &mut BTreeMap<&'static str, usize>) -> Counts {
    let mut counts = Counts::default();
    let outcomes = fs::read_to_string(file)
        .map_err(|error| error.to_string())
        .and_then(|text| Script::run(&text, fuel).map_err(|error| error.to_string()));
    let outcomes = match outcomes {
        Ok(outcomes) => outcomes,
        Err(error) => {
            let outcome = expectations::skip(&error).map_or(Outcome::Failed(error), Outcome::Skipped);
            vec![(0, outcome)]
        }
    };
    for (line, outcome) in outcomes {
        match outcome {
            Outcome::Passed => counts.passed += 1,
            Outcome::Skipped(reason) => {
                counts.skipped += 1;
                *reasons.entry(reason).or_default() += 1;
            }
            Outcome::Failed(why) => {
                counts.failed += 1;
                println!("FAILED {name}, line {line}: {why}");
            }
        }
    }
    report(name, &counts);
    counts
}

fn report(name: &str, counts: &Counts) {
    let Counts { passed, failed, skipped } = counts;
    println!("{name}: {passed} passed, {failed} failed, {skipped} skipped");
}
