//! Sisal: its command, built from these sources.

use super::{
    RAM, accel,
    qemu::{self, Run},
    server::Server,
    succeed,
};
use crate::Result;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The built command.
pub struct Sisal {
    command: PathBuf,
    target: PathBuf,
    scratch: PathBuf,
}

impl Sisal {
    /// Builds it.
    ///
    /// # Errors
    /// cargo's.
    pub fn build(target: &Path, scratch: &Path) -> Result<Self> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--locked", "--release", "--package=sisal"]);
        cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        succeed(cargo.arg("--target-dir").arg(target))?;
        Ok(Self { command: target.join("release/sisal"), target: target.into(), scratch: scratch.into() })
    }

    /// Boots the kernel with its own tests in it, with `initrd` and these words on its command line.
    ///
    /// # Errors
    /// cargo's; QEMU cannot be started.
    pub fn selftest(&self, machine: &str, words: &str, initrd: &Path) -> Result<Run> {
        Run::new(&self.selftests(machine, words, initrd)?, None, self.scratch.join("selftest-output"))
    }

    /// The same, for a server.
    ///
    /// # Errors
    /// As for [`selftest`](Self::selftest).
    pub fn selftest_server(&self, machine: &str, words: &str, initrd: &Path) -> Result<Server> {
        let mut qemu = self.selftests(machine, words, initrd)?;
        Server::start(|port| {
            qemu::add_network(&mut qemu, port);
            qemu
        })
    }

    /// Builds the full kernel with its own tests in it, of the same parts; what boots it.
    fn selftests(&self, machine: &str, words: &str, initrd: &Path) -> Result<Command> {
        const TRIPLE: &str = "x86_64-unknown-linux-gnu";
        let built = self.target.join("kernel-selftest");
        let mut cargo = Command::new("cargo");
        cargo.args([
            "build",
            "--quiet",
            "--locked",
            "--package=kernel",
            "--features=selftest",
            "--profile=kernel",
        ]);
        cargo
            .args(["--config=profile.kernel.strip=\"symbols\"", "--target", TRIPLE, "--target-dir"])
            .arg(&built);
        cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        succeed(cargo.env("CARGO_BUILD_BUILD_DIR", self.target.join("sisal-embedded")))?;
        let mut qemu = qemu::command(machine, RAM);
        qemu.args(["-device", "isa-debug-exit,iobase=0x501,iosize=0x02", "-append", words, "-kernel"]);
        qemu.arg(built.join(TRIPLE).join("kernel/kernel")).arg("-initrd").arg(initrd);
        Ok(qemu)
    }

    /// Runs a program with these options and arguments.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(
        &self,
        machine: &str,
        ram: u32,
        options: &[&str],
        program: &Path,
        arguments: &[&str],
        input: Option<&Path>,
    ) -> Result<Run> {
        let mut command = self.command("run", machine, ram);
        command.args(options).arg(program).args(arguments);
        Run::new(&command, input, self.scratch.join("sisal-output"))
    }

    /// Boots another kernel, which says nothing.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn boot(&self, machine: &str, kernel: &Path, program: &Path) -> Result<Run> {
        let mut command = self.command("run", machine, RAM);
        command.arg("--kernel").arg(kernel).arg(program);
        Run::new(&command, None, self.scratch.join("sisal-output"))
    }

    /// The bytes of the kernel and the initrd for a program.
    ///
    /// # Errors
    /// The image cannot be made.
    pub fn image_size(&self, program: &Path) -> Result<u64> {
        let directory = self.scratch.join("image");
        let mut command = Command::new(&self.command);
        command.args(["image", "--accel", "tcg", "--output"]).arg(&directory).arg(program);
        succeed(command.stdout(Stdio::null()))?;
        Ok(fs::metadata(directory.join("kernel"))?.len() + fs::metadata(directory.join("initrd"))?.len())
    }

    /// A command of `sisal`'s that boots a machine.
    pub fn command(&self, name: &str, machine: &str, ram: u32) -> Command {
        let mut command = Command::new(&self.command);
        command.args([name, "--machine", machine, "--accel", &accel(), "--ram", &format!("{ram}M")]);
        command
    }
}
