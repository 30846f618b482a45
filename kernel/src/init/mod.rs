//! From a machine to a finished program: what the initrd asks for is put together, run, reported, and the machine ends.

#[cfg(feature = "full")]
mod download;
mod files;
pub mod linear_memory;
#[cfg(feature = "full")]
pub mod network;
#[cfg(not(feature = "full"))]
mod no_network;
pub mod stdio;

use crate::{
    acpi::Tables,
    arch,
    entropy::MachineEntropy,
    executor, memory, power, time, timings,
    virtio::{Devices, p9::P9},
};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use boot::BootInfo;
use core::{fmt, mem::ManuallyDrop};
use manifest::{
    Kind, MANIFEST_PATH, Manifest, PROGRAM_PATH, Status,
    archive::{self, Archive},
    debug_exit,
};
#[cfg(feature = "full")]
use network::MachineNetwork;
#[cfg(not(feature = "full"))]
use no_network::MachineNetwork;
use stdio::Stdio;
use virtio_drivers::transport::DeviceType;
use wasi::{
    Command, Engine, Limit, Limits, Machine, Outcome, Program, Refusal, StartError, clocks::Clock,
    filesystem::Permissions,
};

/// Why the program was never run.
#[derive(Debug)]
pub enum Error {
    /// The machine was started without an initrd.
    NoInitrd,
    /// The initrd is not the archive that it should be.
    Archive(archive::Error),
    /// Its manifest cannot be read.
    Manifest(manifest::Error),
    /// The program is not one that can run here.
    Program(wasi::Refusal),
    /// It could not even begin.
    Start(StartError),
    /// A directory that it is to have cannot be made: its name in the program, and why.
    Mount(String, String),
    /// It cannot have its network: why.
    Network(String),
    /// It cannot be downloaded: why.
    Download(String),
}

/// Brings the machine's devices up, runs the program, and ends the machine.
pub fn run(info: &'static BootInfo) -> ! {
    let acpi = info.rsdp.and_then(Tables::find);
    power::init(acpi.as_ref());
    if let Some(tables) = &acpi {
        tables.io_apics().for_each(|(address, first_line)| arch::io_apic::add(address, first_line));
    }
    timings::reached("firmware's tables");
    let calibration = time::calibrate(acpi.as_ref());
    let mut devices = Devices::find(info.command_line(), acpi.as_ref());
    timings::reached("devices");
    let stdio = Stdio::open(devices.take(DeviceType::Console));
    timings::reached("standard streams");
    // Only now: to measure takes time, which has passed meanwhile.
    let clock = time::init(calibration);
    timings::reached("clocks");
    #[cfg(feature = "selftest")]
    crate::selftest::run(info, devices, stdio, clock);
    #[cfg(not(feature = "selftest"))]
    run_program(info, devices, stdio, clock)
}

/// Runs what the initrd asks for, reports how it ended, and ends the machine.
#[cfg_attr(feature = "selftest", expect(dead_code, reason = "the tests run instead"))]
fn run_program(info: &'static BootInfo, mut devices: Devices, stdio: Stdio, clock: Arc<dyn Clock>) -> ! {
    let (status, code) = executor::block_on(async {
        stdio.report(&Status::Ready(manifest::FORMAT_VERSION)).await;
        let status = match program(info, &mut devices, &stdio, &clock).await {
            Ok(outcome) => status(Ok(outcome)),
            Err(Error::Start(error)) => status(Err(error)),
            Err(Error::Download(why)) => Status::Missing(why),
            Err(error) => Status::Error(error.to_string()),
        };
        let code = stdio.finish(&status).await;
        (status, code)
    });
    timings::reached("output delivered");
    timings::report();
    log::debug!("the machine ends");
    match status {
        Status::Exit(0) => arch::power_off(code),
        _ => arch::exit(code),
    }
}

/// Runs the program that the initrd holds.
async fn program(
    info: &BootInfo,
    devices: &mut Devices,
    stdio: &Stdio,
    clock: &Arc<dyn Clock>,
) -> Result<Outcome, Error> {
    let module = info.modules.first().ok_or(Error::NoInitrd)?;
    let archive = Archive::open(memory::module(module)).map_err(Error::Archive)?;
    // The machine ends with the program: taking apart what it had would only take time.
    let manifest = ManuallyDrop::new(
        Manifest::decode(archive.file(MANIFEST_PATH).map_err(Error::Archive)?).map_err(Error::Manifest)?,
    );
    // Before anything is taken for the program.
    let engine = ManuallyDrop::new(engine());
    let machine = ManuallyDrop::new(Machine {
        clock: clock.clone(),
        entropy: MachineEntropy::new(devices.take(DeviceType::EntropySource)),
        memories: Some(Arc::new(linear_memory::Arena)),
    });
    let network = match &manifest.network {
        None => None,
        Some(settings) => {
            let network = MachineNetwork::open(settings, devices, &machine).map_err(Error::Network)?;
            // What it asks its network is answered while the program is compiled.
            executor::yield_now().await;
            Some(network)
        }
    };
    timings::reached("network device");
    let mut shares = start(devices, DeviceType::_9P, P9::new);
    let mut arguments = manifest.args.iter().cloned();
    let status_port = stdio;
    let stdio = stdio.with_terminals(manifest.terminals);
    let limits = Limits::unlimited().with_memory(manifest.limits.memory).with_time(manifest.limits.timeout);
    let mut command = Command::new(arguments.next().unwrap_or_default())
        .args(arguments)
        .stdin(stdio.stdin)
        .stdout(stdio.stdout)
        .stderr(stdio.stderr)
        .limits(limits);
    for (name, value) in &manifest.env {
        command = command.env(name.clone(), value.clone());
    }
    let quota = files::quota(manifest.mounts.iter().map(|mount| &mount.source));
    for (device, mount) in (1..).zip(&manifest.mounts) {
        let node = files::mount(&mount.source, device, quota, &archive, &mut shares, clock)
            .map_err(|why| Error::Mount(mount.guest.clone(), why))?;
        let permissions = if mount.read_only { Permissions::ReadOnly } else { Permissions::ReadWrite };
        command = command.preopen(mount.guest.clone(), node, permissions);
    }

    timings::reached("archive and directories");
    let downloaded;
    let wasm = match (&manifest.download, &network) {
        (None, _) => archive.file(PROGRAM_PATH).map_err(Error::Archive)?,
        (Some(download), Some(network)) => {
            downloaded = network.download(download, &machine).await.map_err(Error::Download)?;
            &downloaded
        }
        (Some(_), None) => return Err(Error::Download("the machine has no network".into())),
    };
    if let (Kind::HttpHandler, Some(network)) = (manifest.kind, &network) {
        network.serve(&engine, wasm, command, &machine, status_port).await?;
        network.finish(&machine).await;
        return Ok(Outcome::Exited(0));
    }
    let program = ManuallyDrop::new(Program::new(&engine, wasm).map_err(Error::Program)?);
    log::debug!("the program is compiled: {} KiB of heap", memory::stats().heap >> 10);
    timings::reached("program compiled");
    if let Some(network) = &network {
        network.configured(&machine).await.map_err(Error::Network)?;
        timings::reached("network address");
        command = network.give(command);
        // A component opens its own.
        if !program.is_component() {
            command = network.give_listeners(command).map_err(Error::Network)?;
        }
    }
    let mut run = program.start(&machine, command).map_err(Error::Start)?;
    // Whoever it is connected to is to hear of its end, and what a component could not write leaves when it is freed.
    if network.is_none() && !program.is_component() {
        run = run.leaving_all();
    }
    timings::reached("program started");
    let outcome = run.await;
    timings::reached("program ended");
    if let Some(network) = &network {
        network.finish(&machine).await;
    }
    Ok(outcome)
}

/// An engine for programs that share the machine's memory, and have stacks that a small machine can give them: what they may
/// take is kept free.
pub fn engine() -> Engine {
    /// Half of what a process has elsewhere; the shadow stack, where compilers put what they take the address of, is not in it.
    const STACK_BYTES: usize = 4 << 20;
    wasi::heap::set_available(memory::available);
    let available = memory::available();
    let power = |limit: usize| 1 << limit.max(1).ilog2();
    Engine::new()
        .stack(power(available / 1024).min(Engine::DEFAULT_FRAMES), power(available / 64).min(STACK_BYTES))
}

/// Starts all devices of a type; those that fail are logged and left.
fn start<T>(
    devices: &mut Devices,
    kind: DeviceType,
    new: impl Fn(crate::virtio::Device) -> Result<T, crate::virtio::Error>,
) -> Vec<T> {
    let started = devices.take(kind).into_iter().map(|device| {
        let name = device.name();
        new(device).inspect_err(|error| log::error!("{name}: {error}"))
    });
    started.filter_map(Result::ok).collect()
}

/// What to do when the machine has too little memory.
const MORE_MEMORY: &str = "start the machine with more (sisal run --ram)";

/// What the host is told about the end of a program.
pub fn status(end: Result<Outcome, StartError>) -> Status {
    let limit = match &end {
        Ok(Outcome::LimitReached(limit)) | Err(StartError::Limit(limit)) => Some(limit),
        Ok(Outcome::Trapped { after, .. }) => after.as_ref(),
        _ => None,
    };
    let advice = match limit {
        Some(Limit::MachineMemory(_)) => format!("; {MORE_MEMORY}"),
        _ => String::new(),
    };
    match end {
        Ok(Outcome::Exited(code)) => Status::Exit(code),
        Ok(outcome @ Outcome::LimitReached(_)) => Status::Limit(format!("{outcome}{advice}")),
        Ok(outcome @ Outcome::Trapped { .. }) => Status::Trap(format!("{outcome}{advice}")),
        Err(error @ StartError::Limit(_)) => Status::Limit(format!("{error}{advice}")),
        Err(error) => Status::Error(error.to_string()),
    }
}

/// What the machine's end says when there is no status port: QEMU's exit code.
fn exit_code(status: &Status) -> u16 {
    if *status == Status::Exit(0) { debug_exit::ENDED } else { debug_exit::FAILED }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInitrd => f.write_str(
                "there is nothing to run: start the machine with an initrd that `sisal image` makes (QEMU: -initrd)",
            ),
            Self::Archive(why) => write!(f, "the initrd is not an archive of `sisal image`: {why}"),
            Self::Manifest(error) => error.fmt(f),
            Self::Program(refusal @ Refusal::Memory(_)) => write!(f, "{refusal}; {MORE_MEMORY}"),
            Self::Program(refusal @ Refusal::Component) => {
                write!(f, "{refusal}; start the machine with the kernel that `sisal image` gives a component")
            }
            Self::Program(refusal) => refusal.fmt(f),
            Self::Start(error) => error.fmt(f),
            Self::Network(why) => write!(f, "the program cannot have its network: {why}"),
            Self::Download(why) => f.write_str(why),
            Self::Mount(guest, why) => write!(f, "the directory {guest:?} cannot be mounted: {why}"),
        }
    }
}

impl core::error::Error for Error {}
