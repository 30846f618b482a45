//! Streams that never wait: bytes in memory, nothing, and anything thrown away.

use super::{InputStream, OutputStream, Readiness};
use crate::{Error, Result, heap};
use alloc::{sync::Arc, vec::Vec};
use core::task::{Context, Poll};
use spin::Mutex;

/// An input stream that gives these bytes, and then the end.
pub struct BytesInput {
    bytes: Arc<[u8]>,
    position: Mutex<usize>,
}

impl BytesInput {
    /// A stream of these bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { bytes: bytes.into(), position: Mutex::new(0) }
    }

    /// A stream that is at its end from the start.
    pub fn empty() -> Self {
        Self::new([])
    }
}

impl InputStream for BytesInput {
    fn poll_read(&self, _task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        let mut position = self.position.lock();
        let rest = self.bytes.get(*position..).unwrap_or_default();
        let count = buffer.len().min(rest.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        *position = position.saturating_add(count);
        Poll::Ready(Ok(count))
    }

    fn poll_readable(&self, _task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        let rest = self.bytes.len().saturating_sub(*self.position.lock());
        Poll::Ready(Ok(Readiness { bytes: rest as u64, hangup: true }))
    }
}

/// An output stream that keeps what is written, up to a limit; beyond it writing fails with
/// [`Error::NoSpace`].
pub struct BytesOutput {
    limit: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    overflowed: bool,
}

impl BytesOutput {
    /// Keeps up to `limit` bytes; `None` is without limit.
    pub fn new(limit: Option<u64>) -> Self {
        Self { limit: limit.unwrap_or(u64::MAX), kept: Mutex::default() }
    }

    /// Takes what has been written so far.
    pub fn take(&self) -> Vec<u8> {
        core::mem::take(&mut self.kept.lock().bytes)
    }

    /// Whether a write failed at the limit.
    pub fn overflowed(&self) -> bool {
        self.kept.lock().overflowed
    }
}

impl OutputStream for BytesOutput {
    fn poll_write(&self, _task: &mut Context<'_>, buffer: &[u8]) -> Poll<Result<usize>> {
        let mut kept = self.kept.lock();
        let room = self.limit.saturating_sub(kept.bytes.len() as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let taken = buffer.get(..room).unwrap_or(buffer);
        if taken.is_empty() && !buffer.is_empty() {
            kept.overflowed = true;
            return Poll::Ready(Err(Error::NoSpace));
        }
        heap::reserve(&mut kept.bytes, taken.len())?;
        kept.bytes.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_writable(&self, _task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        let room = self.limit.saturating_sub(self.kept.lock().bytes.len() as u64);
        Poll::Ready(Ok(Readiness { bytes: room, hangup: false }))
    }
}

/// An output stream that throws everything away.
pub struct NullOutput;

impl OutputStream for NullOutput {
    fn poll_write(&self, _task: &mut Context<'_>, buffer: &[u8]) -> Poll<Result<usize>> {
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_writable(&self, _task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        Poll::Ready(Ok(Readiness { bytes: u64::MAX, hangup: false }))
    }
}
