//! Runs a program hosted, with this process's stdio and environment: `run PROGRAM.wasm [args…]`.

use std::{env, fs, process::ExitCode, sync::Arc, time::Instant};
use wasi::{Command, Engine, Limits, Outcome, Program, hosted};

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let Some(path) = args.next() else {
        eprintln!("usage: run PROGRAM.wasm [args…]");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let wasm = match fs::read(&path) {
        Ok(wasm) => wasm,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::from(2);
        }
    };
    let program = match Program::new(&Engine::new(), &wasm) {
        Ok(program) => program,
        Err(refusal) => {
            eprintln!("{path}: {refusal}");
            return ExitCode::from(126);
        }
    };
    let compiled = start.elapsed();
    let name = path.rsplit('/').next().unwrap_or(&path).trim_end_matches(".wasm");
    let command = env::vars()
        .fold(Command::new(name), |command, (name, value)| command.env(name, value))
        .args(args)
        .stdin(Arc::new(hosted::Stdin))
        .stdout(Arc::new(hosted::Stdout))
        .stderr(Arc::new(hosted::Stderr))
        .limits(Limits::unlimited());
    let start = Instant::now();
    let outcome = match program.start(&hosted::machine(), command) {
        Ok(run) => hosted::block_on(run),
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::from(126);
        }
    };
    if env::var_os("TIMES").is_some() {
        eprintln!("compiled in {compiled:?}, ran in {:?}", start.elapsed());
    }
    match outcome {
        Outcome::Exited(status) => ExitCode::from(status as u8),
        outcome => {
            eprintln!("{path}: {outcome}");
            ExitCode::from(127)
        }
    }
}
