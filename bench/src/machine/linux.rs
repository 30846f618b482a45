//! Linux: what `bench/linux` builds, booted by QEMU.

use super::{Run, qemu, succeed};
use crate::Result;
use std::{
    cell::Cell,
    fs::{self, File},
    io,
    net::Shutdown,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

/// The part of an initrd for virtio ports.
pub const SERIAL: &str = "serial";
/// The part of an initrd for a network device, with wasmtime.
pub const NETWORK: &str = "network";
/// How often a boot that hangs is begun again.
const ATTEMPTS: usize = 3;

/// The built machine.
pub struct Linux {
    directory: PathBuf,
    scratch: PathBuf,
    images: Cell<usize>,
}

impl Linux {
    /// Builds it in `directory`, which is kept from run to run.
    ///
    /// # Errors
    /// The script's.
    pub fn build(directory: &Path, scratch: &Path) -> Result<Self> {
        succeed(Command::new(script("build")).arg(directory))?;
        Ok(Self { directory: directory.into(), scratch: scratch.into(), images: Cell::new(0) })
    }

    /// The initrd of a machine that runs a shell's `command` with `files` in its root directory, and with what else is
    /// needed for a `part` ([`SERIAL`], [`NETWORK`]).
    ///
    /// # Errors
    /// The script's.
    pub fn initrd(&self, command: &str, files: &[&Path], part: Option<&str>) -> Result<PathBuf> {
        let number = self.images.replace(self.images.get() + 1);
        let image = self.scratch.join(format!("initrd{number}"));
        let mut pack = Command::new(script("initrd"));
        pack.arg(&self.directory).arg(&image).arg(command).args(files);
        succeed(pack.env("PARTS", part.unwrap_or_default()))?;
        Ok(image)
    }

    /// The kernel's bytes.
    ///
    /// # Errors
    /// There is none.
    pub fn kernel_size(&self) -> Result<u64> {
        Ok(fs::metadata(self.directory.join("vmlinuz"))?.len())
    }

    /// Boots it, again if QEMU hangs.
    ///
    /// # Errors
    /// QEMU cannot be started, or hangs whenever it is.
    pub fn boot(&self, machine: &str, ram: u32, initrd: &Path) -> Result<Run> {
        attempt(machine, || {
            Run::new(&self.qemu(machine, ram, initrd), None, self.scratch.join("linux-output"))
        })
    }

    /// Boots it with `input` on its first virtio port, and its second one into a file.
    ///
    /// # Errors
    /// As for [`boot`](Self::boot).
    pub fn stream(&self, machine: &str, ram: u32, initrd: &Path, input: &Path) -> Result<Run> {
        let output = self.scratch.join("linux-stream");
        let mut run = attempt(machine, || {
            let socket = self.scratch.join("linux-input");
            // One that an earlier machine had.
            let _ = fs::remove_file(&socket);
            let listener = UnixListener::bind(&socket)?;
            let mut file = File::open(input)?;
            let feeder = thread::spawn(move || -> io::Result<()> {
                let (mut machine, _) = listener.accept()?;
                io::copy(&mut file, &mut machine)?;
                // What is in the socket is read before the end is seen.
                machine.shutdown(Shutdown::Write)?;
                io::copy(&mut machine, &mut io::sink()).map(drop)
            });
            let mut qemu = self.qemu(machine, ram, initrd);
            qemu.args(["-device", "virtio-serial-pci"]);
            qemu.args(["-chardev", &format!("socket,id=in,path={}", socket.display())]);
            qemu.args(["-device", "virtserialport,chardev=in,nr=1"]);
            qemu.args(["-chardev", &format!("file,id=out,path={}", output.display())]);
            qemu.args(["-device", "virtserialport,chardev=out,nr=2"]);
            let run = Run::new(&qemu, None, self.scratch.join("linux-output"))?;
            // QEMU has ended, and with it the feeder's reader: an error of its own is the machine's.
            let _ = feeder.join();
            Ok(run)
        })?;
        run.move_output(output)?;
        Ok(run)
    }

    /// What boots it with a network, and this computer's `port` forwarded to its port 80.
    pub fn with_network(&self, machine: &str, ram: u32, initrd: &Path, port: u16) -> Command {
        let mut qemu = self.qemu(machine, ram, initrd);
        qemu::add_network(&mut qemu, port);
        qemu
    }

    /// Compiles a component with wasmtime, for the machine: not for the processor of this computer.
    ///
    /// # Errors
    /// wasmtime's.
    pub fn compile(&self, component: &Path, output: &Path) -> Result<()> {
        let mut wasmtime = Command::new(self.directory.join("peers/bin/wasmtime"));
        wasmtime.args(["compile", "--target=x86_64-unknown-linux-gnu", "--output"]).arg(output);
        succeed(wasmtime.arg(component))
    }

    fn qemu(&self, machine: &str, ram: u32, initrd: &Path) -> Command {
        let mut qemu = qemu::command(machine, ram);
        qemu.args(["-append", "console=ttyS0 quiet panic=-1 reboot=t"]);
        qemu.arg("-kernel").arg(self.directory.join("vmlinuz")).arg("-initrd").arg(initrd);
        qemu
    }
}

/// Boots, again if QEMU hangs.
fn attempt(machine: &str, boot: impl Fn() -> Result<Run>) -> Result<Run> {
    for _ in 0..ATTEMPTS {
        let run = boot()?;
        if !run.hung {
            return Ok(run);
        }
        eprintln!("bench: QEMU hung, with Linux in {machine}");
    }
    Err(format!("Linux in {machine} hung {ATTEMPTS} times").into())
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("linux").join(name)
}
