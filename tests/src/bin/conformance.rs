//! Runs the official suite's preview 1 programs (github.com/WebAssembly/wasi-testsuite, branch prod/testsuite-base) and
//! shows that a runtime that does nothing would be caught.
//!
//! `conformance --suite PATH [--qemu] [FILTER]…` where PATH is a checkout of that branch. Hosted, each program's directory is in
//! memory; in QEMU it is a directory of the host over 9p.
//!
//! Nearly every program says "exit code 0" when it is content, so a runtime that runs nothing passes nearly all of
//! them. Two controls, which must fail, tell the difference: every program again with `unreachable` as its first instruction
//! must trap; every program that is given a directory or arguments or an environment must not pass without them.

use serde::Deserialize;
use sisal_tests::{
    bytes::Bytes,
    case::{Case, Directory, Ending},
    guests::{self, Guest},
    host::{End, Host, Outcome},
    hosted::Hosted,
    qemu::Qemu,
    sabotage::trap_at_start,
    tree::Tree,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// What the suite writes beside a program.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    root: Option<PathBuf>,
    exit_code: u32,
    stdout: Option<String>,
    stderr: Option<String>,
}

struct Program {
    name: String,
    guest: Guest,
    /// The same with a trap as its first instruction.
    trapping: Guest,
    config: Config,
    directory: Option<Tree>,
}

/// What a program's three runs gave; the texts say why not.
struct Verdict {
    pass: Result<(), String>,
    trap: Result<(), String>,
    /// `None` when nothing can be taken away from it.
    deprived: Option<Result<(), String>>,
}

/// The runtime that does nothing and says that all is well.
struct Nothing;

impl Host for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn run(&self, _: &Guest, _: &Case) -> Result<Outcome, String> {
        Ok(Outcome { stdout: vec![], stderr: vec![], end: End::Exit(0), differences: String::new() })
    }
}

struct Options {
    suite: PathBuf,
    qemu: bool,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| conformance(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, String> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    let (mut suite, mut qemu, mut filters) = (None, false, vec![]);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Long("suite") => suite = Some(parser.value().map_err(|error| error.to_string())?.into()),
            Long("qemu") => qemu = true,
            Value(filter) => filters.push(filter.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let suite = suite.ok_or("usage: conformance --suite PATH [--qemu] [FILTER]...")?;
    Ok(Options { suite, qemu, filters })
}

fn conformance(options: &Options) -> Result<bool, String> {
    let programs = programs(&options.suite, &options.filters)?;
    if programs.is_empty() {
        return Err(format!("no programs below {}", options.suite.display()));
    }
    let host: Box<dyn Host> = if options.qemu { Box::new(Qemu::new()) } else { Box::new(Hosted::new()) };
    let verdicts = judge_all(&*host, &programs);
    let idle = judge_all(&Nothing, &programs);

    println!("{:46} {:5} {:5} deprived", "program", "run", "trap");
    for (program, verdict) in programs.iter().zip(&verdicts) {
        let mark = |result: &Result<(), String>| if result.is_ok() { "ok" } else { "FAIL" };
        println!(
            "{:46} {:5} {:5} {}",
            program.name,
            mark(&verdict.pass),
            mark(&verdict.trap),
            verdict.deprived.as_ref().map_or("-", mark)
        );
    }
    for (program, verdict) in programs.iter().zip(&verdicts) {
        let runs = [
            ("", Some(&verdict.pass)),
            (" (trap)", Some(&verdict.trap)),
            (" (deprived)", verdict.deprived.as_ref()),
        ];
        for (run, result) in runs {
            if let Some(Err(why)) = result {
                println!("\n{}{run}: {why}", program.name);
            }
        }
    }
    let count = |verdicts: &[Verdict], of: fn(&Verdict) -> bool| {
        verdicts.iter().filter(|verdict| of(verdict)).count()
    };
    let all = programs.len();
    let passed = count(&verdicts, |verdict| verdict.pass.is_ok());
    let trapped = count(&verdicts, |verdict| verdict.trap.is_ok());
    let deprivable = count(&verdicts, |verdict| verdict.deprived.is_some());
    let deprived = count(&verdicts, |verdict| matches!(verdict.deprived, Some(Ok(()))));
    println!("\n{}: {passed} of {all} pass", host.name());
    println!(
        "controls: {trapped} of {all} trap when changed to; {deprived} of {deprivable} fail without what they need"
    );
    let fooled = count(&idle, |verdict| verdict.pass.is_ok());
    let missed = count(&idle, |verdict| verdict.trap.is_ok() || matches!(verdict.deprived, Some(Ok(()))));
    println!(
        "a runtime that does nothing: \"passes\" {fooled} of {all}, and the controls catch it on {} of {all}",
        all - missed
    );
    Ok(passed == all && trapped == all && deprived == deprivable && missed == 0)
}

fn programs(suite: &Path, filters: &[String]) -> Result<Vec<Program>, String> {
    let mut programs = vec![];
    for language in ["assemblyscript", "c", "rust"] {
        let directory = suite.join("tests").join(language).join("testsuite/wasm32-wasip1");
        let entries =
            fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.extension().is_none_or(|extension| extension != "wasm") {
                continue;
            }
            let guest = guests::file(&path)?;
            let name = format!("{language}/{}", guest.name);
            if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
                programs.push(program(name, guest, &path)?);
            }
        }
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}

fn program(name: String, guest: Guest, path: &Path) -> Result<Program, String> {
    let config = path.with_extension("json");
    let config: Config = match fs::read(&config) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", config.display()))?
        }
        Err(_) => Config::default(),
    };
    let root = config.root.as_ref().map(|root| path.with_file_name(root));
    let directory = root.map(|root| Tree::read_host(&root)).transpose().map_err(|error| error.to_string())?;
    let trapping = trap_at_start(&guest.wasm).map_err(|error| format!("{name}: {error}"))?;
    let trapping = guests::binary(&format!("{}-trapping", guest.name), trapping, Path::new(""))?;
    Ok(Program { name, guest, trapping, config, directory })
}

fn judge_all(host: &dyn Host, programs: &[Program]) -> Vec<Verdict> {
    // Hosts limit by themselves how many of their runs go on at a time.
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let next = AtomicUsize::new(0);
    let mut verdicts: Vec<(usize, Verdict)> = thread::scope(|scope| {
        let work = || {
            let mut done = vec![];
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(program) = programs.get(index) else { return done };
                done.push((index, judge(host, program)));
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    verdicts.sort_by_key(|(index, _)| *index);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

fn judge(host: &dyn Host, program: &Program) -> Verdict {
    let config = &program.config;
    let pass = passes(host, program, &program.guest, &case(program));
    let mut trapping = case(program);
    trapping.name = Some("trapping".into());
    let trap = match host.run(&program.trapping, &trapping) {
        Ok(outcome) if outcome.end.matches(&Ending::Trap("unreachable".into())) => Ok(()),
        Ok(outcome) => Err(format!("it should trap, and ended with {}", outcome.end)),
        Err(error) => Err(error),
    };
    let needs = program.directory.is_some() || !config.args.is_empty() || !config.env.is_empty();
    // One of them looks for its directory among two thousand million descriptors.
    let nothing = Case { timeout: Some(10_000), ..Case::default() };
    let deprived = needs.then(|| match host.run(&program.guest, &nothing) {
        // Not to pass is not to end with the code that says so: a host that fails is no proof of anything.
        Ok(outcome) if outcome.end != End::Exit(config.exit_code) => Ok(()),
        Ok(_) => Err("it says that all is well without its directory, arguments and environment".into()),
        Err(error) => Err(error),
    });
    Verdict { pass, trap, deprived }
}

fn case(program: &Program) -> Case {
    let mut case = Case::ending_with(Ending::Exit(program.config.exit_code));
    case.args = program.config.args.clone();
    case.env = program.config.env.clone();
    if let Some(tree) = &program.directory {
        let directory = Directory {
            guest: "/".into(),
            read_only: false,
            before: tree.clone(),
            after: None,
            scratch: true,
        };
        case.dirs.push(directory);
    }
    case
}

fn passes(host: &dyn Host, program: &Program, guest: &Guest, case: &Case) -> Result<(), String> {
    let outcome = host.run(guest, case)?;
    let mut faults = vec![];
    if !outcome.end.matches(&case.ending()) {
        faults.push(format!("it should end with {}, and ended with {}", case.ending(), outcome.end));
    }
    let streams = [
        ("stdout", &program.config.stdout, &outcome.stdout),
        ("stderr", &program.config.stderr, &outcome.stderr),
    ];
    for (stream, expected, actual) in streams {
        if let Some(expected) = expected
            && Bytes::Text(expected.clone()).to_vec() != *actual
        {
            faults.push(format!(
                "{stream} should be {expected:?} and is {:?}",
                String::from_utf8_lossy(actual)
            ));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    faults.push(format!("its stderr: {}", String::from_utf8_lossy(&outcome.stderr)));
    Err(faults.join("\n  "))
}
