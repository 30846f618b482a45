//! `sisal image`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use log::LevelFilter;
use manifest::Source;

use crate::accel;
use crate::archive;
use crate::error::Error;
use crate::kernel::{Needs, kernel};
use crate::options::Image;
use crate::program::{self, Program};
use crate::qemu::{Channel, Machine, Ports};

/// Writes the set of files, and prints the command that boots it.
///
/// # Errors
///
/// Something named cannot be read or written.
pub fn image(options: &Image) -> Result<(), Error> {
    let Image { given, machine, output, program, args } = options;
    let program = Program::find(program, args, given)?;
    let mut manifest = program::manifest(&program, given)?;
    let mut trees = Vec::new();
    manifest.mounts = program::mounts(given, |root, host, _| {
        trees.push(host);
        Source::Initrd { root }
    })?;
    let initrd = archive::write(Vec::new(), &manifest, program.source.module(), &trees)?;
    let kernel = kernel(machine.kernel.as_deref(), Needs::of(&manifest, program.source.module()))?;

    fs::create_dir_all(output).map_err(writing(output))?;
    let output = output.canonicalize().map_err(writing(output))?;
    let file = |name: &str, contents: &[u8]| {
        let path = output.join(name);
        fs::write(&path, contents).map_err(writing(&path)).map(|()| path)
    };
    let accel = accel::pick(machine.accel)?;
    let (kernel, initrd) = (file("kernel", &kernel)?, file("initrd", &initrd)?);
    let network = given.network.user_network(manifest.download.is_some());
    let line = |stdin| {
        let machine = Machine {
            kind: machine.machine,
            accel,
            ram: machine.ram,
            kernel: &kernel,
            initrd: &initrd,
            log: Channel::File(output.join("log")),
            log_level: given.log.unwrap_or(LevelFilter::Info),
            timings: given.timings,
            ports: Ports {
                stdin,
                stdout: Channel::Append("/dev/stdout".into()),
                stderr: Channel::Append("/dev/stderr".into()),
                status: Channel::File(output.join("status")),
            },
            shares: &[],
            network: network.as_ref(),
        };
        machine.arguments()
    };
    println!("qemu-system-x86_64 {}", shell_line(&line(Channel::Terminal), &line(Channel::Stdin)));
    Ok(())
}

fn writing(path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = PathBuf::from(path);
    move |cause| Error::File { action: "write", path: path.clone(), cause }
}

/// Arguments as they are typed in a shell, for a machine whose standard input is a terminal, and one for which it is not.
fn shell_line(terminal: &[OsString], other: &[OsString]) -> String {
    // No argument has a NUL in it: none came from anywhere that could hold one.
    let quote = |argument: &OsString| match shlex::try_quote(&argument.to_string_lossy()) {
        Ok(quoted) => quoted.into_owned(),
        Err(shlex::QuoteError::Nul | _) => argument.to_string_lossy().into_owned(),
    };
    let either = |(terminal, other)| {
        let (if_terminal, if_other) = (quote(terminal), quote(other));
        if terminal == other {
            if_terminal
        } else {
            format!("$([ -t 0 ] && echo {if_terminal} || echo {if_other})")
        }
    };
    terminal.iter().zip(other).map(either).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_for_a_shell() {
        let line = |last: &str| ["-m", "it's", last].map(OsString::from);
        let text = shell_line(&line("a"), &line("b"));
        assert_eq!(text, r#"-m "it's" $([ -t 0 ] && echo a || echo b)"#);
    }
}
