//! [`Qemu`]: guests in a machine of their own, through the `sisal` command.

use crate::{
    case::Case,
    guests::{self, Guest},
    host::{End, Host, Outcome},
};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    ffi::OsString,
    io::{Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Condvar, Mutex, OnceLock, mpsc},
    thread,
    time::Duration,
};

/// How long one boot may take, from the command's start to its end.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How many machines run at a time: each takes a processor of the host whole.
const MACHINES: usize = 2;

/// `sisal`'s exit codes for what is not the program's own end.
mod code {
    pub(super) const REFUSED: i32 = 126;
    pub(super) const TRAP: i32 = 134;
    pub(super) const LIMIT: i32 = 137;
    pub(super) const FAILED: i32 = 125;
}

/// What `sisal` begins its own lines on stderr with.
const PREFIX: &str = "sisal: ";

/// Runs guests with `sisal run`.
pub struct Qemu {
    /// `sisal`, once somebody has asked for it.
    sisal: OnceLock<Result<PathBuf, String>>,
    options: Vec<OsString>,
    deadline: Duration,
    free: Mutex<usize>,
    freed: Condvar,
}

/// What came out of a command.
pub struct Finished {
    /// All of its stdout.
    pub stdout: Vec<u8>,
    /// All of its stderr.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub status: ExitStatus,
}

impl Qemu {
    /// With the `sisal` command of this workspace, built when it is first needed, or the one that `SISAL` names (any
    /// command with the same options will do: so expectations can be tried on a peer).
    pub fn new() -> Self {
        Self {
            sisal: OnceLock::new(),
            options: vec![],
            deadline: DEADLINE,
            free: Mutex::new(MACHINES),
            freed: Condvar::new(),
        }
    }

    fn sisal(&self) -> Result<&Path, String> {
        let sisal = self.sisal.get_or_init(|| match std::env::var_os("SISAL") {
            Some(command) => Ok(command.into()),
            None => build(),
        });
        sisal.as_deref().map_err(Clone::clone)
    }

    /// With this option of `sisal run` in every run.
    pub fn with_option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }

    /// With another deadline than [`DEADLINE`].
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// `sisal run` with the options that were set, as many at a time as machines may run, within the deadline.
    ///
    /// # Errors
    /// When it cannot be started or takes too long.
    pub fn run_command(&self, args: &[OsString], stdin: Vec<u8>) -> Result<Finished, String> {
        let _machine = self.machine();
        let mut command = self.command(args)?;
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        finish(child, stdin, self.deadline)
    }

    /// `sisal run` with its streams piped, not yet started; a process group of its own, so that QEMU ends with it.
    ///
    /// # Errors
    /// When `sisal` cannot be built.
    pub fn command(&self, args: &[OsString]) -> Result<Command, String> {
        self.subcommand("run", args)
    }

    /// The same for another of `sisal`'s commands.
    ///
    /// # Errors
    /// As for [`command`](Self::command).
    pub fn subcommand(&self, name: &str, args: &[OsString]) -> Result<Command, String> {
        let mut command = Command::new(self.sisal()?);
        command
            .arg(name)
            .args(&self.options)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Ok(command)
    }

    /// Waits until another machine may run; it is given back when this is dropped.
    pub fn machine(&self) -> impl Drop + '_ {
        struct Machine<'a>(&'a Qemu);
        impl Drop for Machine<'_> {
            fn drop(&mut self) {
                *self.0.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1;
                self.0.freed.notify_one();
            }
        }
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *free -= 1;
        Machine(self)
    }
}

impl Default for Qemu {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn run(&self, guest: &Guest, case: &Case) -> Result<Outcome, String> {
        let mut args: Vec<OsString> = vec![];
        for (name, value) in &case.env {
            args.extend(["--env".into(), format!("{name}={value}").into()]);
        }
        if let Some(bytes) = case.memory {
            args.extend(["--memory".into(), bytes.to_string().into()]);
        }
        if let Some(milliseconds) = case.timeout {
            args.extend(["--timeout".into(), format!("{milliseconds}ms").into()]);
        }
        if case.network {
            args.push("--net".into());
        }
        let mut shared = vec![];
        for directory in &case.dirs {
            let host = tempfile::tempdir().map_err(|error| error.to_string())?;
            directory.before.write_host(host.path()).map_err(|error| error.to_string())?;
            let mut value = host.path().as_os_str().to_owned();
            value.push("::");
            value.push(&directory.guest);
            value.push(if directory.read_only { ":ro" } else { "" });
            args.extend(["--dir".into(), value]);
            shared.push((directory, host));
        }
        args.push(guest.path.clone().into());
        args.extend(case.args.iter().map(OsString::from));

        let finished = self.run_command(&args, case.stdin.to_vec())?;
        let (stderr, end) = split_end(finished.stderr, finished.status)?;
        let mut differences = String::new();
        for (directory, host) in shared {
            let Some(expected) = directory.expected() else { continue };
            let difference = expected.difference_host(host.path());
            if let Some(difference) = difference.map_err(|error| error.to_string())? {
                differences += &format!(" in {}:\n{difference}", directory.guest);
            }
        }
        Ok(Outcome { stdout: finished.stdout, stderr, end, differences })
    }
}

/// Splits what `sisal` says at the end off the guest's stderr.
fn split_end(mut stderr: Vec<u8>, status: ExitStatus) -> Result<(Vec<u8>, End), String> {
    let own = stderr.windows(PREFIX.len()).rposition(|bytes| bytes == PREFIX.as_bytes());
    // The guest's stderr need not end with a newline: the message may follow on its last line.
    let message =
        own.map(|at| String::from_utf8_lossy(&stderr.split_off(at)[PREFIX.len()..]).trim_end().to_owned());
    match (status.code(), message) {
        (Some(code::REFUSED), Some(message)) => Ok((stderr, End::Refused(message))),
        (Some(code::TRAP), Some(message)) => Ok((stderr, End::Trap(message))),
        (Some(code::LIMIT), Some(message)) => Ok((stderr, End::Limit(message))),
        (Some(code::FAILED), Some(message)) => Err(format!("sisal failed: {message}")),
        (Some(_), Some(message)) => match exit_code(&message) {
            Some(code) => Ok((stderr, End::Exit(code))),
            None => Err(format!("sisal: {message}")),
        },
        (Some(code), None) => Ok((stderr, End::Exit(code.cast_unsigned()))),
        (_, message) => Err(format!("sisal: {status}, {}", message.unwrap_or_default())),
    }
}

/// The exit code in the message about one that a process cannot have.
fn exit_code(message: &str) -> Option<u32> {
    message.split_once("exit code ")?.1.split(' ').next()?.parse().ok()
}

/// Feeds a command its stdin, collects its output and waits for its end; ends it, and what it started, after `deadline`.
///
/// # Errors
/// When it took too long.
pub fn finish(mut child: Child, stdin: Vec<u8>, deadline: Duration) -> Result<Finished, String> {
    let group = Pid::from_child(&child);
    if let Some(mut pipe) = child.stdin.take() {
        // A program that does not read all of its stdin breaks the pipe: that is no fault.
        thread::spawn(move || drop(pipe.write_all(&stdin)));
    }
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || drop(sender.send(child.wait())));
    let result = ended.recv_timeout(deadline);
    if result.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = ended.recv();
    }
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    match result {
        Ok(status) => Ok(Finished { stdout, stderr, status: status.map_err(|error| error.to_string())? }),
        Err(_) => Err(format!(
            "no end after {deadline:?}; stdout had {} bytes, stderr: {}",
            stdout.len(),
            String::from_utf8_lossy(&stderr)
        )),
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = vec![];
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// Builds `sisal` in the profile and the target directory of this test.
fn build() -> Result<PathBuf, String> {
    let target = guests::target()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--package", "sisal", "--target-dir"])
        .arg(&target);
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        cargo.arg("--release");
        "release"
    };
    let output = cargo.output().map_err(|error| format!("{cargo:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{cargo:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let command = target.join(profile).join("sisal");
    if command.exists() { Ok(command) } else { Err(format!("{} was not built", command.display())) }
}
