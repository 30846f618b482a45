//! `sisal image`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use log::LevelFilter;
use manifest::Source;

use crate::accel;
use crate::archive;
use crate::error::Error;
use crate::kernel::kernel;
use crate::options::Image;
use crate::program::{self, Program};
use crate::qemu::{Channel, Machine, Ports};

/// Writes the set of files, and prints the command that boots it.
///
/// # Errors
///
/// Something named cannot be read or written.
pub fn image(options: &Image) -> Result<(), Error> {
    let Image { given, tmpfs, machine, output, program, args } = options;
    let program = Program::read(program, args, given.argv0.clone())?;
    let mut manifest = program::manifest(program.args, given)?;
    let mut trees = Vec::new();
    for (root, dir) in (0..).zip(&given.dirs) {
        let (host, mount) = program::shared(dir, Source::Initrd { root })?;
        trees.push(host);
        manifest.mounts.push(mount);
    }
    manifest.mounts.extend(tmpfs.iter().map(|guest| program::tmpfs(guest)));
    let initrd = archive::write(Vec::new(), &manifest, &program.module, &trees)?;
    let kernel = kernel(machine.kernel.as_deref())?;

    fs::create_dir_all(output).map_err(writing(output))?;
    let output = output.canonicalize().map_err(writing(output))?;
    let file = |name: &str, contents: &[u8]| {
        let path = output.join(name);
        fs::write(&path, contents).map_err(writing(&path)).map(|()| path)
    };
    let line = Machine {
        kind: machine.machine,
        accel: accel::pick(machine.accel)?,
        ram: machine.ram,
        kernel: &file("kernel", &kernel)?,
        initrd: &file("initrd", &initrd)?,
        log: Channel::File(output.join("log")),
        log_level: given.log.unwrap_or(LevelFilter::Info),
        ports: Ports {
            stdin: Channel::Stdio,
            stdout: Channel::File("/dev/stdout".into()),
            stderr: Channel::File("/dev/stderr".into()),
            status: Channel::File(output.join("status")),
        },
        shares: &[],
    };
    println!("qemu-system-x86_64 {}", shell_line(line.arguments()));
    Ok(())
}

fn writing(path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = PathBuf::from(path);
    move |cause| Error::File { action: "write", path: path.clone(), cause }
}

/// Arguments as they are typed in a shell.
fn shell_line(arguments: Vec<OsString>) -> String {
    // No argument has a NUL in it: none came from anywhere that could hold one.
    let quote = |argument: OsString| match shlex::try_quote(&argument.to_string_lossy()) {
        Ok(quoted) => quoted.into_owned(),
        Err(shlex::QuoteError::Nul | _) => argument.to_string_lossy().into_owned(),
    };
    arguments.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}
