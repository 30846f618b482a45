//! What crosses crates or boots a machine: guests, the hosts that run them, conformance.
//!
//! A guest is a program in `guests/` (Rust, C) or `wat/`, with an expectation beside it ([`case`]). A [`host`] runs
//! it: [`hosted`] in this process, [`qemu`] through `sisal run`; the same case runs in both, with the same
//! expectation. Unit tests live beside the code they test, not here.

pub mod bytes;
pub mod case;
pub mod exhaustion;
pub mod fuzz;
pub mod guests;
pub mod host;
pub mod hosted;
pub mod hostile;
pub mod kernel;
mod loopback;
pub mod machine;
pub mod qemu;
pub mod sabotage;
pub mod scale;
pub mod traffic;
pub mod tree;

/// The `main` of a test whose trials are found out at run time, with the command line of `cargo test`.
pub fn run(trials: fn() -> Result<Vec<libtest_mimic::Trial>, String>) -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
