//! Running a compiled program: from start to end with its output kept, as a future beside others, or as a session.

mod session;
#[cfg(test)]
mod tests;

pub use session::Session;

use crate::{Command, Machine, Outcome, Program, StartError, driver::Running, io::BytesOutput};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// A program that runs: a future that gives its [`Outcome`]. It begins when it is first polled; dropping it ends the
/// program wherever it is, and frees all it had.
pub struct Run {
    guest: Box<dyn Running>,
    /// What is kept of the heap for its functions is kept for as long as it runs.
    _program: Program,
}

impl Run {
    /// A guest of `program`.
    pub(crate) fn new(guest: Box<dyn Running>, program: &Program) -> Self {
        Self { guest, _program: program.clone() }
    }

    /// The same run, which frees nothing of what the program had when it ends: for a machine that ends with it. Descriptors
    /// are not closed, whoever is at the other end of a pipe or a connection is not told, and what a component has written
    /// without having it flushed may be lost.
    pub fn leaving_all(mut self) -> Self {
        self.guest.leave_all();
        self
    }

    /// The fuel that it has used so far: about one for each instruction, and the same each time for the same
    /// program, input and machine.
    pub fn fuel_used(&self) -> u64 {
        self.guest.fuel_used()
    }
}

impl Future for Run {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.guest).poll(task)
    }
}

/// How a run ended and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub outcome: Outcome,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: Vec<u8>,
    /// Whether stdout or stderr came up against [`Limits::output`](crate::Limits::output): the program was told that
    /// there is no space left.
    pub output_limit_reached: bool,
    /// The fuel that it used.
    pub fuel_used: u64,
}

impl Program {
    /// Starts the program: the result is to be polled, by any executor.
    ///
    /// # Errors
    /// [`StartError`], when it cannot even begin.
    pub fn start(&self, machine: &Machine, command: Command) -> Result<Run, StartError> {
        let limits = command.limits;
        let slices = command.slices;
        let grants = command.grants(machine)?;
        Ok(Run::new(self.instantiate(machine, grants, &limits, slices)?, self))
    }

    /// Runs the program to its end and keeps what it writes, in place of the command's own stdout and stderr.
    ///
    /// # Errors
    /// [`StartError`], when it cannot even begin.
    pub async fn output(&self, machine: &Machine, command: Command) -> Result<Output, StartError> {
        let stdout = Arc::new(BytesOutput::new(command.limits.output));
        let stderr = Arc::new(BytesOutput::new(command.limits.output));
        let mut run = self.start(machine, command.stdout(stdout.clone()).stderr(stderr.clone()))?;
        let outcome = (&mut run).await;
        Ok(Output {
            outcome,
            stdout: stdout.take(),
            stderr: stderr.take(),
            output_limit_reached: stdout.overflowed() || stderr.overflowed(),
            fuel_used: run.fuel_used(),
        })
    }
}
