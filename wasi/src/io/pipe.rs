//! A pipe: bytes written at one end are read at the other, in order, with a bounded buffer between.

use super::{InputStream, OutputStream, Readiness};
use crate::{Error, Result};
use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{
    mem,
    task::{Context, Poll, Waker},
};
use spin::Mutex;

/// A pipe that holds up to `capacity` bytes (at least 1). Dropping the writer is the end of the stream for the reader,
/// after what is still in the pipe; dropping the reader makes writing fail with [`Error::Pipe`].
pub fn pipe(capacity: usize) -> (PipeReader, PipeWriter) {
    let shared = Arc::new(Mutex::new(Shared {
        buffer: VecDeque::new(),
        capacity: capacity.max(1),
        reader: End::default(),
        writer: End::default(),
    }));
    (PipeReader { shared: shared.clone() }, PipeWriter { shared })
}

/// The end of a pipe that bytes come out of.
pub struct PipeReader {
    shared: Arc<Mutex<Shared>>,
}

/// The end of a pipe that bytes go into.
pub struct PipeWriter {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    buffer: VecDeque<u8>,
    capacity: usize,
    reader: End,
    writer: End,
}

#[derive(Default)]
struct End {
    closed: bool,
    waiting: Waiting,
}

/// Who waits at an end. The ends are shared by reference, so it may be more than one; one needs no allocation.
#[derive(Default)]
struct Waiting {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Waiting {
    fn add(&mut self, task: &Context<'_>) {
        let mut known = self.first.iter().chain(&self.others);
        if known.any(|waker| waker.will_wake(task.waker())) {
            return;
        }
        match &mut self.first {
            Some(_) => self.others.push(task.waker().clone()),
            none => *none = Some(task.waker().clone()),
        }
    }

    /// Wakes all. Not under the pipe's lock: a waker may be the last to hold a task that holds an end of the
    /// pipe.
    fn wake(self) {
        self.first.into_iter().chain(self.others).for_each(Waker::wake);
    }
}

impl InputStream for PipeReader {
    fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut guard = self.shared.lock();
        let shared = &mut *guard;
        if shared.buffer.is_empty() {
            if shared.writer.closed {
                return Poll::Ready(Ok(0));
            }
            shared.reader.waiting.add(task);
            return Poll::Pending;
        }
        let (first, second) = shared.buffer.as_slices();
        let count = copy(buffer, first)
            .saturating_add(copy(buffer.get_mut(first.len()..).unwrap_or_default(), second));
        shared.buffer.drain(..count);
        let writers = mem::take(&mut shared.writer.waiting);
        drop(guard);
        writers.wake();
        Poll::Ready(Ok(count))
    }

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        let shared = &mut *self.shared.lock();
        if shared.buffer.is_empty() && !shared.writer.closed {
            shared.reader.waiting.add(task);
            return Poll::Pending;
        }
        Poll::Ready(Ok(Readiness { bytes: shared.buffer.len() as u64, hangup: shared.writer.closed }))
    }
}

impl OutputStream for PipeWriter {
    fn poll_write(&self, task: &mut Context<'_>, buffer: &[u8]) -> Poll<Result<usize>> {
        let mut guard = self.shared.lock();
        let shared = &mut *guard;
        if shared.reader.closed {
            return Poll::Ready(Err(Error::Pipe));
        }
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = shared.room();
        if room == 0 {
            shared.writer.waiting.add(task);
            return Poll::Pending;
        }
        let taken = buffer.get(..room).unwrap_or(buffer);
        if shared.buffer.try_reserve(taken.len()).is_err() {
            return Poll::Ready(Err(Error::NoMemory));
        }
        shared.buffer.extend(taken);
        let readers = mem::take(&mut shared.reader.waiting);
        drop(guard);
        readers.wake();
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_writable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        let shared = &mut *self.shared.lock();
        let room = shared.room();
        if room == 0 && !shared.reader.closed {
            shared.writer.waiting.add(task);
            return Poll::Pending;
        }
        Poll::Ready(Ok(Readiness { bytes: room as u64, hangup: shared.reader.closed }))
    }
}

impl Shared {
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.buffer.len())
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut shared = self.shared.lock();
        shared.reader.closed = true;
        shared.buffer = VecDeque::new();
        let writers = mem::take(&mut shared.writer.waiting);
        drop(shared);
        writers.wake();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let mut shared = self.shared.lock();
        shared.writer.closed = true;
        let readers = mem::take(&mut shared.reader.waiting);
        drop(shared);
        readers.wake();
    }
}

/// Copies what fits.
fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let count = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}
