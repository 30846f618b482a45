//! `sisal run`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use log::LevelFilter;
use manifest::{Kind, Source, Status, Terminals};

use crate::accel;
use crate::archive;
use crate::error::Error;
use crate::kernel::{self, Needs};
use crate::machine::{self, Settings};
use crate::network::UserNetwork;
use crate::options::{Run, Serve};
use crate::program::{self, Program};
use crate::qemu::{Share, most_shares};

/// How long a request may take if nobody says so.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// Runs a program, and returns the exit code that tells how it ended.
///
/// # Errors
///
/// It could not be run.
pub fn run(options: &Run) -> Result<ExitCode, Error> {
    start(options, Kind::Command)
}

/// Serves HTTP requests with a program, until it is interrupted.
///
/// # Errors
///
/// It cannot be served.
pub fn serve(options: Serve) -> Result<ExitCode, Error> {
    let Serve { mut given, machine, program } = options;
    given.network.listen_by_default();
    given.timeout.get_or_insert(REQUEST_TIME);
    // Why requests fail.
    given.log.get_or_insert(LevelFilter::Warn);
    start(&Run { given, machine, program }, Kind::HttpHandler)
}

fn start(options: &Run, kind: Kind) -> Result<ExitCode, Error> {
    let Run { given, machine, program } = options;
    let accel = accel::pick(machine.accel)?;
    let (program, built_in) = match program.split_first() {
        Some((path, args)) => (Program::find(path, args, given)?, false),
        None => (Program::tour(), true),
    };
    let mut manifest = program::manifest(&program, given)?;
    let network = given.network.user_network(manifest.download.is_some());
    network.iter().try_for_each(UserNetwork::check)?;
    manifest.kind = kind;
    let most = most_shares(machine.machine, network.as_ref());
    if given.dirs.len() > most {
        return Err(Error::TooManyDirs { most, machine: machine.machine });
    }
    manifest.terminals = Terminals {
        stdin: io::stdin().is_terminal(),
        stdout: io::stdout().is_terminal(),
        stderr: io::stderr().is_terminal(),
    };
    let mut shares = Vec::new();
    manifest.mounts = program::mounts(given, |number, host, dir| {
        let tag = format!("dir{number}");
        shares.push(Share { tag: tag.clone(), host, read_only: dir.read_only });
        Source::Virtio9p { tag }
    })?;
    if built_in {
        manifest.mounts.push(program::tmpfs("/tour"));
        manifest.env.push(("SISAL_TOUR".into(), "a=b".into()));
    }
    let initrd = archive::write(machine::memory_file()?, &manifest, program.source.module(), &[])?;
    let settings = Settings {
        kind: machine.machine,
        accel,
        ram: machine.ram,
        kernel: kernel::open(machine.kernel.as_deref(), Needs::of(&manifest, program.source.module()))?,
        initrd,
        shares,
        network,
        log: given.log,
        timings: given.timings,
        // For a program that is not there yet it begins later; for a server, with each request.
        timeout: given.timeout.filter(|_| manifest.download.is_none() && kind == Kind::Command),
        serving: Some(given.network.addresses()).filter(|_| kind == Kind::HttpHandler),
    };
    let name = manifest.args.first().map_or("program", String::as_str);
    Ok(report(name, machine::run(settings)?))
}

/// Says what is to be said of the program's end, and gives its exit code.
fn report(name: &str, status: Status) -> ExitCode {
    let (message, code) = match status {
        Status::Exit(code) => {
            // What any process can pass on.
            let [low, ..] = code.to_le_bytes();
            if code == u32::from(low) {
                return low.into();
            }
            (format!("exit code {code} has more than 8 bits: the lowest 8, {low}, are passed on"), low)
        }
        Status::Trap(message) => (message, 134),
        Status::Limit(message) => (message, 137),
        Status::Missing(message) => (message, 127),
        Status::Error(message) => (message, 126),
        // The machine is not over with it.
        Status::Ready(_) | Status::Stdin | Status::Serving => {
            ("the kernel did not say how it ended".into(), 125)
        }
    };
    eprintln!("sisal: {name}: {message}");
    code.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_exit_code() {
        for (status, code) in [
            (Status::Exit(0), 0),
            (Status::Exit(3), 3),
            (Status::Exit(255), 255),
            (Status::Exit(256), 0),
            (Status::Exit(u32::MAX), 255),
            (Status::Trap("x".into()), 134),
            (Status::Limit("x".into()), 137),
            (Status::Missing("x".into()), 127),
            (Status::Error("x".into()), 126),
        ] {
            assert_eq!(report("p", status.clone()), ExitCode::from(code), "{status:?}");
        }
    }
}
