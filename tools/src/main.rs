//! `sisal`: runs WebAssembly programs on bare metal.
//!
//! `run` boots a kernel under QEMU with a program, carries the program's standard streams, shares
//! directories with it, and exits with its exit code. `serve` has it answer HTTP requests. `image` writes what is needed to boot a program without `sisal`.
//! Nothing of `run` itself ever goes to standard output, which is the program's.

mod accel;
mod archive;
mod error;
mod image;
mod kernel;
mod machine;
mod network;
mod options;
mod program;
mod qemu;
mod relay;
mod run;

use std::process::ExitCode;

use clap::Parser;

use crate::options::{Command, Options};

fn main() -> ExitCode {
    let result = match Options::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Serve(options) => run::serve(options),
        Command::Image(options) => image::image(&options).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("sisal: {error}");
        error.exit_code().into()
    })
}
