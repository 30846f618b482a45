//! A guest's input streams: reading what is there, and what it means when that fails.

use super::{Failure, Origin, TRANSFER_MAX, Watch, Watched, zeroed};
use crate::{
    Error,
    io::{InputStream, waiting::looking},
};
use alloc::{sync::Arc, vec::Vec};
use core::task::{Context, Poll, ready};
use spin::{Mutex, MutexGuard};

/// The resource `input-stream`. Those of stdin share what they read from.
#[derive(Clone)]
pub struct Input(Arc<Mutex<Incoming>>);

impl Input {
    /// A stream that reads from `stream`.
    pub fn new(stream: Arc<dyn InputStream>, origin: Origin) -> Self {
        Self(Arc::new(Mutex::new(Incoming { stream, origin, closed: false, watch: Watch::default() })))
    }

    /// What it reads from.
    pub fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock()
    }
}

/// What input streams of a guest read from.
pub struct Incoming {
    stream: Arc<dyn InputStream>,
    /// What fails when it fails.
    pub(super) origin: Origin,
    /// It has failed, and the guest knows.
    closed: bool,
    watch: Watch,
}

/// Up to this length, a buffer is as long as the guest says.
const SHORT: usize = 4 << 10;

impl Watched for Incoming {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if self.closed { Poll::Ready(()) } else { self.stream.poll_readable(task).map(|_| ()) }
    }
}

impl Incoming {
    /// Whether a person sits at the other end.
    pub fn is_terminal(&self) -> bool {
        self.stream.is_terminal()
    }

    /// Reads up to `len` bytes, as many as are there now: perhaps none.
    pub fn read(&mut self, len: u64) -> Result<Vec<u8>, Failure> {
        match self.poll_read(&mut looking(), len) {
            Poll::Ready(read) => read,
            Poll::Pending => Ok(Vec::new()),
        }
    }

    /// Reads up to `len` bytes; waits for the first, or for the end, even if `len` is 0.
    pub fn poll_read(&mut self, task: &mut Context<'_>, len: u64) -> Poll<Result<Vec<u8>, Failure>> {
        if self.closed {
            return Poll::Ready(Err(Failure::Closed));
        }
        let read = ready!(self.poll_stream(task, usize::try_from(len).unwrap_or(usize::MAX)));
        Poll::Ready(read.map_err(|error| self.fail(error)).and_then(|read| read.ok_or(Failure::Closed)))
    }

    /// `None` is the end.
    fn poll_stream(&self, task: &mut Context<'_>, len: usize) -> Poll<crate::Result<Option<Vec<u8>>>> {
        let mut len = len.min(TRANSFER_MAX);
        if len == 0 || len > SHORT && self.origin != Origin::File {
            // Who asks for much does not get a large buffer for little; but to ask how long a file is may take longer.
            let there = ready!(self.stream.poll_readable(task))?.bytes;
            if len == 0 {
                return Poll::Ready(Ok((there > 0).then(Vec::new)));
            }
            len = len.min(usize::try_from(there).unwrap_or(usize::MAX).max(SHORT));
        }
        let mut buffer = zeroed(len)?;
        let count = ready!(self.stream.poll_read(task, &mut buffer))?;
        buffer.truncate(count);
        Poll::Ready(Ok((count > 0).then_some(buffer)))
    }

    fn fail(&mut self, error: Error) -> Failure {
        self.closed = true;
        Failure::of(error)
    }
}
