//! Runs a machine: starts QEMU, connects it, and waits for what the kernel says of the program's end.
//!
//! QEMU never outlives this process: the system kills it with us, however we end. So Ctrl-C needs no handler, but that of a
//! server, whose requests may end first. The machine has sockets, files in memory and the shared directories, so that nothing is left behind either.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use log::LevelFilter;
use manifest::{FORMAT_VERSION, LAST_REQUESTS, ParseStatusError, STOP, Status, audit_message, debug_exit};
use rustix::fs::MemfdFlags;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{
    Resource, Rlimit, Signal, getpid, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::accel::Accel;
use crate::error::{Error, Log};
use crate::network::UserNetwork;
use crate::options::MachineKind;
use crate::qemu::{Channel, Machine, Ports, Share};
use crate::relay;

/// How long the kernel may take to its first word. Most of it is for computers that are busy with other things.
const FIRST_WORD: Duration = Duration::from_secs(60);

/// How long the machine may take to end after the program has, or after the program's time is up.
const LAST_WORD: Duration = Duration::from_secs(30);

/// How much the kernel logs when nobody asked: enough to tell what went before a failure.
const UNSEEN_LOG: LevelFilter = LevelFilter::Info;

/// The machine to run.
pub struct Settings {
    /// Its type.
    pub kind: MachineKind,
    /// What realises its processor.
    pub accel: Accel,
    /// Bytes of memory.
    pub ram: u64,
    /// The kernel.
    pub kernel: File,
    /// The initrd.
    pub initrd: File,
    /// The host's directories.
    pub shares: Vec<Share>,
    /// The network.
    pub network: Option<UserNetwork>,
    /// How much of the kernel's log to show; `None` to show it only if the machine fails.
    pub log: Option<LevelFilter>,
    /// Whether the log has, and shows, what took how long.
    pub timings: bool,
    /// The program's time limit, which the kernel enforces; `None` too where it begins later than the machine.
    pub timeout: Option<Duration>,
    /// What to say when requests are heard.
    pub serving: Option<String>,
}

/// An empty file that is only in memory.
///
/// # Errors
///
/// The system has none to give.
pub fn memory_file() -> Result<File, Error> {
    rustix::fs::memfd_create("sisal", MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(|cause| Error::System { action: "make a file in memory", cause: cause.into() })
}

/// Boots the machine, carries the program's streams, and returns how the program ended.
///
/// # Errors
///
/// The machine could not be started, or failed before the program ended.
pub fn run(settings: Settings) -> Result<Status, Error> {
    let system = |action| move |cause| Error::System { action, cause };
    let length = |file: &File| file.metadata().map(|metadata| metadata.len());
    let loaded = length(&settings.kernel)
        .and_then(|kernel| Ok(kernel.saturating_add(length(&settings.initrd)?)))
        .map_err(system("look at a file in memory"))?;
    if settings.ram <= loaded {
        return Err(Error::TooLittleRam { ram: settings.ram });
    }
    let mut qemu_side = Inherited(Vec::new());
    let (stdin, stdin_port) = qemu_side.socket()?;
    let (stdout, stdout_port) = qemu_side.socket()?;
    let (stderr, stderr_port) = qemu_side.socket()?;
    let (status, status_port) = qemu_side.socket()?;
    let (log, log_port) = qemu_side.socket()?;
    let machine = Machine {
        kind: settings.kind,
        accel: settings.accel,
        ram: settings.ram,
        kernel: &qemu_side.file(settings.kernel)?,
        initrd: &qemu_side.file(settings.initrd)?,
        log: log_port,
        log_level: settings.log.unwrap_or(if settings.timings { LevelFilter::Warn } else { UNSEEN_LOG }),
        timings: settings.timings,
        ports: Ports { stdin: stdin_port, stdout: stdout_port, stderr: stderr_port, status: status_port },
        shares: &settings.shares,
        network: settings.network.as_ref(),
    };
    let orders = status.try_clone().map_err(system("use a socket"))?;
    let mut qemu = Qemu(start(machine.arguments(), settings.serving.is_some())?);
    // QEMU alone holds its ends now, so that its end is the end of every stream.
    drop(qemu_side);

    let stdout = relay::receive(stdout, io::stdout()).map_err(system("use standard output"))?;
    let stderr = relay::receive(stderr, io::stderr()).map_err(system("use standard error"))?;
    let show_log = settings.log.is_some() || settings.timings;
    let (sender, events) = mpsc::channel();
    let on_log = sender.clone();
    let mut lines = relay::Lines::default();
    let log = relay::collect(log, show_log, move |piece| {
        if !show_log {
            lines.add(piece, show_refusal);
        }
        // Nobody listens any more when the machine was given up.
        let _ = on_log.send(Event::Log);
    });
    let messages = qemu.0.stderr.take().map(|messages| relay::collect(messages, show_log, |_| ()));
    thread::spawn(move || {
        for line in BufReader::new(status).lines().map_while(Result::ok) {
            if sender.send(Event::Status(line.parse())).is_err() {
                break;
            }
        }
    });

    let serving = settings.serving.map(|message| (message, orders));
    let end = listen(&events, settings.timeout, serving, stdin);
    if end.is_err() {
        qemu.end();
    }
    let exit = qemu.0.wait().map_err(system("wait for QEMU"))?;
    // What was shown is not said again.
    let unseen = |text| if show_log { String::new() } else { text };
    let log = || Log { kernel: unseen(finish(log)), qemu: unseen(messages.map(finish).unwrap_or_default()) };
    let status = match end {
        Ok(Some(status)) if ended(exit) => status,
        Ok(_) => return Err(Error::Machine { qemu: exit, log: log() }),
        Err(Fault::Silent) => return Err(Error::Silent { seconds: FIRST_WORD.as_secs(), log: log() }),
        Err(Fault::Stuck) => return Err(Error::Stuck { seconds: LAST_WORD.as_secs(), log: log() }),
        Err(Fault::Version(version)) => return Err(Error::KernelVersion(version)),
        Err(Fault::Stdin(cause)) => return Err(system("use standard input")(cause)),
        Err(Fault::Signals(cause)) => return Err(system("listen to signals")(cause)),
        Err(Fault::Status(error)) => return Err(Error::Status(error, log())),
    };
    for stream in [stdout, stderr] {
        finish(stream).map_err(Error::Output)?;
    }
    Ok(status)
}

/// Shows a line of the kernel's log if it says what the program was refused.
fn show_refusal(line: &str) {
    if let Some(message) = audit_message(line) {
        // With nowhere to show it, it is still refused.
        let _ = writeln!(io::stderr(), "sisal: {message}");
    }
}

/// What is heard of a machine.
enum Event {
    /// A piece of the kernel's log.
    Log,
    /// A line on the status port.
    Status(Result<Status, ParseStatusError>),
}

/// Why a machine is given up.
enum Fault {
    /// No first word.
    Silent,
    /// No last word.
    Stuck,
    /// The kernel is of another version.
    Version(u32),
    /// It says what is no status.
    Status(ParseStatusError),
    /// Our standard input cannot be used.
    Stdin(io::Error),
    /// Nor can signals be listened to.
    Signals(io::Error),
}

/// Listens until the machine's end, and returns the last that the kernel said of the program. When the program asks for
/// its standard input, it gets it, through `stdin`: what it does not ask for is left to whoever shares ours.
fn listen(
    events: &Receiver<Event>,
    timeout: Option<Duration>,
    mut serving: Option<(String, UnixStream)>,
    stdin: UnixStream,
) -> Result<Option<Status>, Fault> {
    let mut stdin = Some(stdin);
    let mut patience = Some((FIRST_WORD, Fault::Silent));
    let mut last = None;
    loop {
        let event = match patience {
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((time, _)) => events.recv_timeout(time),
        };
        match event {
            Err(RecvTimeoutError::Disconnected) => return Ok(last),
            Err(RecvTimeoutError::Timeout) => {
                return Err(patience.map_or(Fault::Stuck, |(_, fault)| fault));
            }
            Ok(Event::Status(Err(error))) => return Err(Fault::Status(error)),
            Ok(Event::Status(Ok(Status::Ready(FORMAT_VERSION)))) => {
                patience = timeout.map(|time| (time.saturating_add(LAST_WORD), Fault::Stuck));
            }
            Ok(Event::Status(Ok(Status::Ready(version)))) => return Err(Fault::Version(version)),
            Ok(Event::Status(Ok(Status::Stdin))) => {
                if let Some(stdin) = stdin.take() {
                    relay::send_stdin(stdin).map_err(Fault::Stdin)?;
                }
            }
            Ok(Event::Status(Ok(Status::Serving))) => {
                if let Some((message, orders)) = serving.take() {
                    stop_by_signal(orders).map_err(Fault::Signals)?;
                    let _ = writeln!(io::stderr(), "sisal: {message}");
                }
            }
            Ok(Event::Status(Ok(status))) => {
                last = Some(status);
                patience = Some((LAST_WORD, Fault::Stuck));
            }
            Ok(Event::Log) => {}
        }
    }
}

/// From now on, the first Ctrl-C (or SIGTERM) asks the machine to stop serving; the next ends this process, and QEMU with it, and so
/// does a machine that has not stopped in time.
fn stop_by_signal(mut machine: UnixStream) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            // A machine that cannot be asked is ended at once.
            if asked || machine.write_all(STOP).is_err() {
                // It does not return for these.
                let _ = emulate_default_handler(signal);
            }
            asked = true;
            let _ = writeln!(
                io::stderr(),
                "sisal: stopping: requests in flight have {LAST_REQUESTS} s to end; Ctrl-C again ends them now"
            );
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(LAST_REQUESTS) + LAST_WORD);
                let _ = writeln!(io::stderr(), "sisal: the machine does not stop, and is ended");
                let _ = emulate_default_handler(signal);
            });
        }
    });
    Ok(())
}

/// Whether the machine came to an ordinary end: the kernel said so, or powered it off.
fn ended(exit: ExitStatus) -> bool {
    exit.code().is_some_and(|code| code == 0 || code == i32::from(debug_exit::ENDED) << 1 | 1)
}

/// A thread's result. A thread that panics takes the process with it, so there always is one.
fn finish<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What QEMU inherits.
struct Inherited(Vec<OwnedFd>);

impl Inherited {
    /// A pair of connected sockets: this side's, and the one that QEMU inherits.
    fn socket(&mut self) -> Result<(UnixStream, Channel), Error> {
        let (ours, theirs) =
            UnixStream::pair().map_err(|cause| Error::System { action: "make a socket", cause })?;
        Ok((ours, Channel::Socket(self.add(theirs.into())?)))
    }

    /// The path under which QEMU opens `file`.
    fn file(&mut self, file: File) -> Result<PathBuf, Error> {
        Ok(format!("/proc/self/fd/{}", self.add(file.into())?).into())
    }

    fn add(&mut self, fd: OwnedFd) -> Result<i32, Error> {
        // This process starts no other that could get it too.
        fcntl_setfd(&fd, FdFlags::empty())
            .map_err(|cause| Error::System { action: "pass a file to QEMU", cause: cause.into() })?;
        let number = fd.as_raw_fd();
        self.0.push(fd);
        Ok(number)
    }
}

/// Files that QEMU may have open, where the system lets it: each connection to the machine is one.
const OPEN_FILES: u64 = 1 << 16;

/// Starts QEMU; one that is `spared` does not hear the terminal's Ctrl-C, which is ours to handle.
fn start(arguments: Vec<OsString>, spared: bool) -> Result<Child, Error> {
    let program = env::var_os("SISAL_QEMU").unwrap_or_else(|| "qemu-system-x86_64".into());
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    if spared {
        command.process_group(0);
    }
    let parent = getpid();
    let prepare = move || {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let most = maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
        if current.is_some_and(|current| current < most) {
            setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum })?;
        }
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have gone already.
        if getppid() == Some(parent) { Ok(()) } else { Err(ErrorKind::NotConnected.into()) }
    };
    // SAFETY: between fork and exec only system calls are made and nothing is allocated.
    unsafe { command.pre_exec(prepare) };
    // The signal is sent when the thread that started the child ends: this is the main thread, the last to.
    command.spawn().map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => Error::NoQemu(program.to_string_lossy().into_owned()),
        _ => Error::System { action: "start QEMU", cause },
    })
}

/// A QEMU that ends with its owner, also when an error is returned.
struct Qemu(Child);

impl Qemu {
    fn end(&mut self) {
        // It fails only if QEMU has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.end();
    }
}
