//! [`Hosted`]: guests in this process, their directories in memory.

use crate::{
    case::Case,
    guests::Guest,
    host::{End, Host, Outcome},
    loopback::Loopback,
};
use std::{sync::mpsc, thread, time::Duration};
use wasi::{
    Command, Engine, Limits, Machine, Program, StartError,
    filesystem::{Permissions, memory::MemoryFileSystem},
    hosted,
};

/// How long a guest may run by wall clock: on a loaded machine, in an unoptimised build.
const DEADLINE: Duration = Duration::from_secs(120);
/// Bytes that each in-memory directory may hold.
pub const QUOTA: u64 = 256 << 20;

/// Runs guests with the library's own runner.
pub struct Hosted {
    engine: Engine,
    machine: Machine,
    slice: Option<u64>,
}

impl Hosted {
    /// On this system's clocks and entropy.
    pub fn new() -> Self {
        Self { engine: Engine::new(), machine: hosted::machine(), slice: None }
    }

    /// Preempting guests after every `fuel` units.
    pub fn with_slices(mut self, fuel: u64) -> Self {
        self.slice = Some(fuel);
        self
    }
}

impl Default for Hosted {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for Hosted {
    fn name(&self) -> &'static str {
        if self.slice.is_some() { "sliced" } else { "hosted" }
    }

    fn run(&self, guest: &Guest, case: &Case) -> Result<Outcome, String> {
        let program = match Program::new(&self.engine, &guest.wasm) {
            Ok(program) => program,
            Err(refusal) => {
                let end = End::Refused(refusal.to_string());
                return Ok(Outcome { stdout: vec![], stderr: vec![], end, differences: String::new() });
            }
        };
        let limits = Limits::default().with_output(64 << 20);
        let limits = match case.memory {
            Some(bytes) => limits.with_memory(bytes),
            None => limits,
        };
        let limits = limits.with_time(case.timeout.map_or(DEADLINE, Duration::from_millis));
        let mut command = Command::new(format!("{}.wasm", guest.name))
            .args(case.args.clone())
            .input(case.stdin.to_vec())
            .limits(limits);
        for (name, value) in &case.env {
            command = command.env(name, value);
        }
        if let Some(fuel) = self.slice {
            command = command.slice_fuel(fuel);
        }
        let mut shared = vec![];
        for (device, directory) in (1..).zip(&case.dirs) {
            let files = MemoryFileSystem::new(self.machine.clock.clone(), QUOTA, device)
                .map_err(|error| error.to_string())?;
            directory.before.write_node(&*files.root()).map_err(|error| error.to_string())?;
            let permissions =
                if directory.read_only { Permissions::ReadOnly } else { Permissions::ReadWrite };
            command = command.preopen(&directory.guest, files.root(), permissions);
            shared.push((directory, files));
        }

        let machine = self.machine.clone();
        let network = Loopback::new(&machine, case).map_err(|error| error.to_string())?;
        if let Some(network) = &network {
            command = network.give(command);
        }
        let (output, mut differences) = in_time(2 * DEADLINE, move || {
            let run = program.output(&machine, command);
            hosted::block_on(async {
                match network {
                    Some(network) => network.beside(run).await,
                    None => (run.await, String::new()),
                }
            })
        })?;
        let output = match output {
            Ok(output) => output,
            Err(error) => {
                let end = match error {
                    StartError::Limit(_) => End::Limit(error.to_string()),
                    _ => End::Refused(error.to_string()),
                };
                return Ok(Outcome { stdout: vec![], stderr: vec![], end, differences: String::new() });
            }
        };
        for (directory, memory) in shared {
            let Some(expected) = directory.expected() else { continue };
            let difference = expected.difference_node(&*memory.root());
            if let Some(difference) = difference.map_err(|error| error.to_string())? {
                differences += &format!(" in {}:\n{difference}", directory.guest);
            }
        }
        let end = match output.outcome {
            wasi::Outcome::Exited(code) => End::Exit(code),
            ended @ wasi::Outcome::LimitReached(_) => End::Limit(ended.to_string()),
            ended @ wasi::Outcome::Trapped { .. } => End::Trap(ended.to_string()),
        };
        Ok(Outcome { stdout: output.stdout, stderr: output.stderr, end, differences })
    }
}

/// Runs `work` on a thread and gives up on it after `deadline`: a host that hangs is a test that fails.
fn in_time<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (sender, done) = mpsc::channel();
    let thread = thread::spawn(move || drop(sender.send(work())));
    match done.recv_timeout(deadline) {
        Ok(result) => Ok(result),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!("the host hangs: no end after {deadline:?}")),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(format!("the host panicked: {:?}", thread.join().err().map(|_| "see stderr")))
        }
    }
}
