//! A pipe: bytes written at one end are read at the other, in order, with a bounded buffer between.

use super::{InputStream, OutputStream, Readiness, waiting::Waiting};
use crate::{Error, Result, heap};
use alloc::{collections::VecDeque, sync::Arc};
use core::{
    mem,
    task::{Context, Poll},
};
use spin::{Mutex, MutexGuard};

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
            let crowd = shared.reader.waiting.add(task);
            return pending(guard, crowd);
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
        let mut shared = self.shared.lock();
        if shared.buffer.is_empty() && !shared.writer.closed {
            let crowd = shared.reader.waiting.add(task);
            return pending(shared, crowd);
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
            let crowd = shared.writer.waiting.add(task);
            return pending(guard, crowd);
        }
        let taken = buffer.get(..room).unwrap_or(buffer);
        let held = shared.buffer.len().saturating_add(taken.len());
        if shared.buffer.capacity() < held {
            // As much as it may double to.
            heap::check_for(held.saturating_mul(2))?;
            shared.buffer.try_reserve(taken.len()).map_err(|_| Error::NoMemory)?;
        }
        shared.buffer.extend(taken);
        let readers = mem::take(&mut shared.reader.waiting);
        drop(guard);
        readers.wake();
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_writable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        let mut shared = self.shared.lock();
        let room = shared.room();
        if room == 0 && !shared.reader.closed {
            let crowd = shared.writer.waiting.add(task);
            return pending(shared, crowd);
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

/// Waits, and wakes those that were too many.
fn pending<T>(shared: MutexGuard<'_, Shared>, crowd: Waiting) -> Poll<T> {
    drop(shared);
    crowd.wake();
    Poll::Pending
}

/// Copies what fits.
fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let count = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{super::waiting::WAITING_MAX, *};
    use alloc::{task::Wake, vec, vec::Vec};
    use core::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Waker,
    };

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn ready<T>(poll: Poll<Result<T>>) -> Result<T> {
        match poll {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("pending"),
        }
    }

    fn readiness(bytes: u64, hangup: bool) -> Result<Readiness> {
        Ok(Readiness { bytes, hangup })
    }

    #[test]
    fn bytes_come_out_as_they_went_in_also_around_the_end_of_the_ring() {
        let (reader, writer) = pipe(7);
        let task = &mut Context::from_waker(Waker::noop());
        let (mut sent, mut received) = (0_u8, 0_u8);
        for round in 0..1_000_usize {
            let chunk: Vec<u8> = (0..round % 10).map(|offset| sent.wrapping_add(offset as u8)).collect();
            if let Poll::Ready(count) = writer.poll_write(task, &chunk) {
                sent = sent.wrapping_add(count.unwrap() as u8);
            }
            let mut buffer = vec![0; round % 5];
            if let Poll::Ready(count) = reader.poll_read(task, &mut buffer) {
                for byte in &buffer[..count.unwrap()] {
                    assert_eq!(*byte, received);
                    received = received.wrapping_add(1);
                }
            }
        }
        assert!(received > 100);
    }

    #[test]
    fn whoever_waits_is_woken_by_the_other_end_and_only_once() {
        let (reader, writer) = pipe(2);
        let wakes = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
        let wakers = wakes.clone().map(Waker::from);
        let counts = || wakes.each_ref().map(|wakes| wakes.0.load(Ordering::Relaxed));
        for waker in [&wakers[0], &wakers[1], &wakers[0]] {
            let task = &mut Context::from_waker(waker);
            assert!(reader.poll_read(task, &mut [0]).is_pending());
            assert!(reader.poll_readable(task).is_pending());
        }
        let task = &mut Context::from_waker(&wakers[0]);
        assert_eq!(ready(writer.poll_write(task, b"abc")), Ok(2));
        assert_eq!(counts(), [1, 1]);
        assert!(writer.poll_write(task, b"c").is_pending());
        assert!(writer.poll_writable(task).is_pending());
        assert_eq!(ready(reader.poll_readable(task)), readiness(2, false));
        assert_eq!(counts(), [1, 1]);
        assert_eq!(ready(reader.poll_read(task, &mut [0])), Ok(1));
        assert_eq!(counts(), [2, 1]);
        assert_eq!(ready(writer.poll_writable(task)), readiness(1, false));
    }

    #[test]
    fn a_dropped_end_ends_the_other() {
        let task = &mut Context::from_waker(Waker::noop());
        let (reader, writer) = pipe(8);
        assert_eq!(ready(writer.poll_write(task, b"last")), Ok(4));
        drop(writer);
        assert_eq!(ready(reader.poll_readable(task)), readiness(4, true));
        let mut buffer = [0; 8];
        assert_eq!(ready(reader.poll_read(task, &mut buffer)), Ok(4));
        assert_eq!(ready(reader.poll_read(task, &mut buffer)), Ok(0));

        let wakes = Arc::new(Wakes::default());
        let waker = wakes.clone().into();
        let task = &mut Context::from_waker(&waker);
        let (reader, writer) = pipe(1);
        assert_eq!(ready(writer.poll_write(task, b"x")), Ok(1));
        assert!(writer.poll_write(task, b"y").is_pending());
        drop(reader);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(ready(writer.poll_write(task, b"y")), Err(Error::Pipe));
        assert_eq!(ready(writer.poll_write(task, b"")), Err(Error::Pipe));
        assert!(ready(writer.poll_writable(task)).unwrap().hangup);
    }

    #[test]
    fn those_who_gave_up_do_not_pile_up() {
        let (reader, _writer) = pipe(8);
        let waiters: Vec<_> = (0..4 * WAITING_MAX).map(|_| Arc::new(Wakes::default())).collect();
        for waiter in &waiters {
            let waker = waiter.clone().into();
            assert!(reader.poll_read(&mut Context::from_waker(&waker), &mut [0]).is_pending());
        }
        let held = waiters.iter().filter(|waiter| Arc::strong_count(waiter) > 1).count();
        assert!(held <= WAITING_MAX, "{held}");
        // Whoever was forgotten knows it.
        let told = waiters.iter().filter(|waiter| waiter.0.load(Ordering::Relaxed) == 1).count();
        assert_eq!(held + told, waiters.len());
    }

    #[test]
    fn a_waker_that_holds_the_other_end_is_no_deadlock() {
        /// A task that owns the reader, and is owned by its waker alone.
        struct Task(#[expect(dead_code, reason = "held, to be dropped")] PipeReader);

        impl Wake for Task {
            fn wake(self: Arc<Self>) {}
        }

        let (reader, writer) = pipe(8);
        let shared = reader.shared.clone();
        let waker: Waker = Arc::new(Task(reader)).into();
        let _ = shared.lock().reader.waiting.add(&Context::from_waker(&waker));
        drop(waker);
        let task = &mut Context::from_waker(Waker::noop());
        assert_eq!(ready(writer.poll_write(task, b"x")), Ok(1));
        assert_eq!(ready(writer.poll_write(task, b"x")), Err(Error::Pipe));
    }
}
