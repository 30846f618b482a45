//! Long-lived sessions: a program that is written to and read from, again and again, while it runs.

use super::Run;
use crate::{
    Command, Error, Machine, Outcome, Program, Result, StartError,
    io::{InputStream, OutputStream, PipeReader, PipeWriter, pipe},
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    task::{Context, Poll},
};

/// What each pipe between the session and the program holds.
const PIPE: usize = 64 << 10;

/// A running program with its stdin and stdout in hand. The program runs while one of the session's futures is polled, and
/// stands still between them; so its time limit is best lifted or generous.
pub struct Session {
    run: Run,
    ended: Option<Outcome>,
    stdin: Option<PipeWriter>,
    stdout: PipeReader,
    /// What was read beyond a delimiter.
    ahead: Vec<u8>,
}

impl Program {
    /// Starts the program as a session, with pipes in place of the command's stdin and stdout.
    ///
    /// # Errors
    /// [`StartError`], when it cannot even begin.
    pub fn session(&self, machine: &Machine, command: Command) -> core::result::Result<Session, StartError> {
        let (stdin, writer) = pipe(PIPE);
        let (reader, stdout) = pipe(PIPE);
        let run = self.start(machine, command.stdin(Arc::new(stdin)).stdout(Arc::new(stdout)))?;
        Ok(Session { run, ended: None, stdin: Some(writer), stdout: reader, ahead: Vec::new() })
    }
}

impl Session {
    /// Writes all of `bytes` to the program's stdin.
    ///
    /// # Errors
    /// [`Error::Pipe`] when the program has ended, has closed its stdin, or it was closed here.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let write = self.drive(|session, task| match &session.stdin {
                Some(stdin) => stdin.poll_write(task, bytes),
                None => Poll::Ready(Err(Error::Pipe)),
            });
            let written = write.await?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the program's stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Reads what the program has written to its stdout, at least one byte; 0 when it has ended or closed it.
    ///
    /// # Errors
    /// None today: the reader of a pipe cannot fail.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.ahead.is_empty() {
            return self.drive(|session, task| session.stdout.poll_read(task, buffer)).await;
        }
        let count = buffer.len().min(self.ahead.len());
        for (to, from) in buffer.iter_mut().zip(self.ahead.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    /// Reads up to and with the next `delimiter`, or to the end of the program's stdout.
    ///
    /// # Errors
    /// [`Error::Overflow`] when `limit` bytes have come without one; they are kept, and a longer limit can be tried.
    pub async fn read_until(&mut self, delimiter: u8, limit: usize) -> Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            let fresh = self.ahead.get(searched..).unwrap_or_default();
            if let Some(found) = fresh.iter().position(|&byte| byte == delimiter) {
                let rest = self.ahead.split_off(searched.saturating_add(found).saturating_add(1));
                return Ok(mem::replace(&mut self.ahead, rest));
            }
            searched = self.ahead.len();
            if searched >= limit {
                return Err(Error::Overflow);
            }
            let mut buffer = [0; 4096];
            let count = self.drive(|session, task| session.stdout.poll_read(task, &mut buffer)).await?;
            match buffer.get(..count) {
                Some(read @ [_, ..]) => self.ahead.extend_from_slice(read),
                _ => return Ok(mem::take(&mut self.ahead)),
            }
        }
    }

    /// Ends the program's stdin and waits for the program's own end. What it still writes is thrown away.
    pub async fn finish(mut self) -> Outcome {
        self.close_stdin();
        let mut sink = [0; 4096];
        // Before it ends it may wait for room in the pipe.
        while let Ok(1..) = self.read(&mut sink).await {}
        poll_fn(|task| {
            self.run_guest(task);
            self.ended.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// How the program ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.ended.as_ref()
    }

    /// Runs the program until `operation` is ready.
    async fn drive<T>(&mut self, mut operation: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>) -> T {
        poll_fn(|task| {
            // What is ready as things are does not wait for a program that is busy.
            if let ready @ Poll::Ready(_) = operation(self, task) {
                return ready;
            }
            self.run_guest(task);
            operation(self, task)
        })
        .await
    }

    fn run_guest(&mut self, task: &mut Context<'_>) {
        if self.ended.is_none()
            && let Poll::Ready(outcome) = Pin::new(&mut self.run).poll(task)
        {
            self.ended = Some(outcome);
        }
    }
}
