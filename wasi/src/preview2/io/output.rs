//! A guest's output streams: what it may write now, what it has written but could not leave yet, and what it means when that fails.

use super::{Failure, Origin, TRANSFER_MAX, Watch, Watched};
use crate::{
    Error, heap,
    io::{OutputStream, waiting::looking},
};
use alloc::{format, sync::Arc, vec::Vec};
use component::Trap;
use core::{
    mem,
    task::{Context, Poll, ready},
};
use spin::{Mutex, MutexGuard};

/// The resource `output-stream`. Those of stdout share what they write to, and so do those of stderr.
pub struct Output {
    outgoing: Arc<Mutex<Outgoing>>,
    /// Bytes that the guest may still write after its last `check-write`.
    permit: usize,
}

/// What output streams of a guest write to.
///
/// `write` never waits and takes all that was permitted. Nearly always that leaves at once; if somebody else has filled the
/// stream meanwhile, the rest stays here, and nothing more is permitted until it has left.
pub struct Outgoing {
    stream: Arc<dyn OutputStream>,
    /// What fails when it fails.
    pub(super) origin: Origin,
    /// Bytes that were permitted and not written yet, of all streams together.
    permits: usize,
    unwritten: Vec<u8>,
    /// Bytes of `unwritten` that have left.
    left: usize,
    flushing: bool,
    status: Status,
    watch: Watch,
}

#[derive(Clone, Copy)]
enum Status {
    Open,
    /// Something has failed, and the guest does not know.
    Failing(Error),
    Closed,
}

/// The most bytes that are permitted to all streams that share what they write to: what may have to be kept. Beyond it each still
/// gets one, so that none waits for the others.
pub const PERMITS_MAX: usize = 1 << 20;

/// The most bytes of the functions that write and flush.
const FLUSHED_MAX: usize = 4096;
const ZEROES: [u8; FLUSHED_MAX] = [0; FLUSHED_MAX];

/// What a guest gets of a function of a stream: the error is its own, the trap ends it.
type Written<T> = Result<Result<T, Failure>, Trap>;

impl Output {
    /// A stream that writes to `stream`.
    pub fn new(stream: Arc<dyn OutputStream>, origin: Origin) -> Self {
        Self {
            outgoing: Arc::new(Mutex::new(Outgoing {
                stream,
                origin,
                permits: 0,
                unwritten: Vec::new(),
                left: 0,
                flushing: false,
                status: Status::Open,
                watch: Watch::default(),
            })),
            permit: 0,
        }
    }

    /// Another stream that writes to the same.
    pub fn another(&self) -> Self {
        Self { outgoing: self.outgoing.clone(), permit: 0 }
    }

    /// What it writes to.
    pub fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock()
    }

    /// How many bytes may be written now.
    pub fn check_write(&mut self) -> Result<u64, Failure> {
        self.give_up_permit();
        let mut outgoing = self.outgoing.lock();
        // Many streams that share it may have permits, and all may use them.
        let rest = PERMITS_MAX.saturating_sub(outgoing.permits).max(1);
        self.permit = outgoing.room()?.min(rest);
        outgoing.permits = outgoing.permits.saturating_add(self.permit);
        Ok(self.permit as u64)
    }

    fn give_up_permit(&mut self) {
        let mut outgoing = self.outgoing.lock();
        outgoing.permits = outgoing.permits.saturating_sub(mem::take(&mut self.permit));
    }

    /// Writes what was permitted.
    pub fn write(&mut self, contents: &[u8]) -> Written<()> {
        self.permitted(contents.len() as u64)?;
        Ok(self.outgoing().put(contents))
    }

    /// Writes so many zeros, which were permitted.
    pub fn write_zeroes(&mut self, len: u64) -> Written<()> {
        self.permitted(len)?;
        Ok(self.outgoing().put_zeroes(len))
    }

    /// Begins to flush: nothing is permitted until that is done.
    pub fn flush(&mut self) -> Result<(), Failure> {
        match self.poll_flushed(&mut looking(), false, |_| Ok(())) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    /// Flushes, and waits until that is done and more can be written. `again`: it has begun already.
    pub fn poll_flush(&mut self, task: &mut Context<'_>, again: bool) -> Poll<Result<(), Failure>> {
        ready!(self.poll_flushed(task, again, |_| Ok(())))?;
        // What is wrong here is for the next call to find.
        self.outgoing().stream.poll_writable(task).map(|_| Ok(()))
    }

    /// Writes up to 4096 bytes, and waits until they have left. `again`: they were taken already.
    pub fn poll_write_and_flush(
        &mut self,
        task: &mut Context<'_>,
        again: bool,
        contents: &[u8],
    ) -> Poll<Written<()>> {
        flushable(contents.len() as u64)?;
        self.poll_flushed(task, again, |outgoing| outgoing.put(contents)).map(Ok)
    }

    /// Writes up to 4096 zeros, and waits until they have left. `again`: they were taken already.
    pub fn poll_write_zeroes_and_flush(
        &mut self,
        task: &mut Context<'_>,
        again: bool,
        len: u64,
    ) -> Poll<Written<()>> {
        flushable(len)?;
        self.poll_flushed(task, again, |outgoing| outgoing.put_zeroes(len)).map(Ok)
    }

    fn poll_flushed(
        &mut self,
        task: &mut Context<'_>,
        again: bool,
        put: impl FnOnce(&mut Outgoing) -> Result<(), Failure>,
    ) -> Poll<Result<(), Failure>> {
        if !again {
            self.give_up_permit();
        }
        let mut outgoing = self.outgoing.lock();
        outgoing.open()?;
        if !again {
            put(&mut outgoing)?;
            outgoing.flushing = true;
        }
        outgoing.poll_settled(task).map_err(|error| outgoing.fail(error))
    }

    /// Makes sure that so many bytes were permitted, and counts them.
    fn permitted(&mut self, len: u64) -> Result<(), Trap> {
        let used = usize::try_from(len).ok().filter(|&len| len <= self.permit).ok_or_else(|| {
            let permit = self.permit;
            Trap::Host(format!(
                "write of {len} bytes to an output-stream where check-write permitted {permit}"
            ))
        })?;
        let mut outgoing = self.outgoing.lock();
        outgoing.permits = outgoing.permits.saturating_sub(used);
        self.permit = self.permit.saturating_sub(used);
        Ok(())
    }
}

/// What can still leave when the guest drops it leaves.
impl Drop for Output {
    fn drop(&mut self) {
        self.give_up_permit();
        let mut outgoing = self.outgoing();
        if !outgoing.unwritten.is_empty() {
            let _ = outgoing.poll_settled(&mut looking());
        }
    }
}

impl Watched for Outgoing {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn is_closed(&self) -> bool {
        !matches!(self.status, Status::Open)
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if self.is_closed() {
            return Poll::Ready(());
        }
        match ready!(self.poll_settled(task)) {
            Ok(()) => self.stream.poll_writable(task).map(|_| ()),
            Err(error) => {
                self.status = Status::Failing(error);
                Poll::Ready(())
            }
        }
    }
}

impl Outgoing {
    /// Whether a person sits at the other end.
    pub fn is_terminal(&self) -> bool {
        self.stream.is_terminal()
    }

    /// Nothing is written any more: what can still leave leaves now.
    pub fn close(&mut self) {
        if matches!(self.status, Status::Open) {
            let _ = self.poll_settled(&mut looking());
            self.fail(Error::Pipe);
        }
    }

    /// How many bytes it takes now.
    fn room(&mut self) -> Result<usize, Failure> {
        self.open()?;
        let task = &mut looking();
        let writable = match self.poll_settled(task) {
            Poll::Ready(Ok(())) => self.stream.poll_writable(task),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match writable {
            Poll::Pending => Ok(0),
            // A stream that is full for ever is ready too: writing to it says so.
            Poll::Ready(Ok(readiness)) if !readiness.hangup => {
                Ok(usize::try_from(readiness.bytes).unwrap_or(usize::MAX).clamp(1, TRANSFER_MAX))
            }
            Poll::Ready(Ok(_)) => Err(self.fail(Error::Pipe)),
            Poll::Ready(Err(error)) => Err(self.fail(error)),
        }
    }

    /// Takes bytes: what cannot leave at once is kept.
    fn put(&mut self, mut contents: &[u8]) -> Result<(), Failure> {
        self.open()?;
        let task = &mut looking();
        while !contents.is_empty() && self.unwritten.is_empty() {
            match self.stream.poll_write(task, contents) {
                Poll::Ready(Ok(count @ 1..)) => contents = contents.get(count..).unwrap_or_default(),
                Poll::Ready(Ok(0)) | Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(self.fail(error)),
            }
        }
        heap::reserve(&mut self.unwritten, contents.len()).map_err(|error| self.fail(error))?;
        self.unwritten.extend_from_slice(contents);
        Ok(())
    }

    fn put_zeroes(&mut self, len: u64) -> Result<(), Failure> {
        let mut rest = usize::try_from(len).unwrap_or(usize::MAX);
        while rest > 0 {
            let zeroes = ZEROES.get(..rest).unwrap_or(&ZEROES);
            self.put(zeroes)?;
            rest = rest.saturating_sub(zeroes.len());
        }
        Ok(())
    }

    /// Waits until all that was taken has left, and a flush that was begun is done.
    fn poll_settled(&mut self, task: &mut Context<'_>) -> Poll<crate::Result<()>> {
        while let Some(rest) = self.unwritten.get(self.left..).filter(|rest| !rest.is_empty()) {
            let count = ready!(self.stream.poll_write(task, rest))?;
            self.left = self.left.saturating_add(count);
        }
        if self.left > 0 {
            self.unwritten = Vec::new();
            self.left = 0;
        }
        if self.flushing {
            ready!(self.stream.poll_flush(task))?;
            self.flushing = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The failure of a stream that is not open.
    fn open(&mut self) -> Result<(), Failure> {
        match self.status {
            Status::Open => Ok(()),
            Status::Failing(error) => Err(self.fail(error)),
            Status::Closed => Err(Failure::Closed),
        }
    }

    fn fail(&mut self, error: Error) -> Failure {
        self.status = Status::Closed;
        self.unwritten = Vec::new();
        self.left = 0;
        Failure::of(error)
    }
}

/// Makes sure that one call may write and flush so many bytes.
fn flushable(len: u64) -> Result<(), Trap> {
    if len > FLUSHED_MAX as u64 {
        return Err(Trap::Host(format!(
            "write of {len} bytes where at most {FLUSHED_MAX} are written and flushed"
        )));
    }
    Ok(())
}
