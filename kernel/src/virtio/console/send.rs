//! To the host: what programs write is gathered in chunks, a few of which the device has at a time.
//!
//! The first write goes out at once. While the device is busy with it, what follows is gathered and goes out as
//! one: a program that prints line by line costs few notifications, and one that floods costs few large chunks. The
//! chunks are bounded: a host that does not read makes the writer wait.

use super::QUEUE_SIZE;
use crate::{
    executor::Wakers,
    virtio::{DmaBuffer, Error, Hal},
};
use alloc::vec::Vec;
use core::task::Context;
use virtio_drivers::{
    queue::VirtQueue,
    transport::{SomeTransport, Transport},
};

const CHUNK_LEN: usize = 32 << 10;
/// The most chunks, the one being filled included. Fewer than the queue has room for.
const CHUNKS: usize = 8;

/// One direction of a port. Its chunks are allocated when they are first needed.
pub(super) struct Sender {
    queue: VirtQueue<Hal, QUEUE_SIZE>,
    index: u16,
    /// Those the device has, by descriptor.
    sent: [Option<Chunk>; QUEUE_SIZE],
    filling: Option<Chunk>,
    free: Vec<DmaBuffer>,
    waiting: Wakers,
}

/// A buffer with `len` bytes in it.
struct Chunk {
    buffer: DmaBuffer,
    len: usize,
}

impl Sender {
    pub(super) fn new(transport: &mut SomeTransport<'static>, index: u16) -> Result<Self, Error> {
        Ok(Self {
            queue: VirtQueue::new(transport, index, false, false)?,
            index,
            sent: [const { None }; QUEUE_SIZE],
            filling: None,
            free: Vec::new(),
            waiting: Wakers::default(),
        })
    }

    pub(super) fn index(&self) -> u16 {
        self.index
    }

    /// Takes as much of `bytes` as there is room for; 0 if there is none.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if there is room for nothing because there is no memory; what the queue does wrong.
    pub(super) fn write(
        &mut self,
        bytes: &[u8],
        transport: &mut SomeTransport<'static>,
    ) -> Result<usize, Error> {
        self.take_used(transport, true);
        let mut written = 0;
        while written < bytes.len() {
            let Some(mut chunk) = self.filling.take().or_else(|| self.empty_chunk()) else {
                if self.in_flight() == 0 && written == 0 {
                    return Err(Error::NoMemory);
                }
                break;
            };
            let room = &mut chunk.buffer.as_mut_slice()[chunk.len..CHUNK_LEN];
            let len = room.len().min(bytes.len() - written);
            room[..len].copy_from_slice(&bytes[written..written + len]);
            chunk.len += len;
            written += len;
            if chunk.len == CHUNK_LEN {
                self.send(chunk, transport)?;
            } else {
                self.filling = Some(chunk);
            }
        }
        self.push(transport)?;
        Ok(written)
    }

    /// How many bytes [`write`](Self::write) would take.
    pub(super) fn room(&mut self, transport: &mut SomeTransport<'static>) -> usize {
        self.take_used(transport, true);
        (CHUNKS - self.in_flight()) * CHUNK_LEN - self.filling.as_ref().map_or(0, |chunk| chunk.len)
    }

    /// Whether the device has passed on all that was written.
    pub(super) fn is_flushed(&mut self, transport: &mut SomeTransport<'static>) -> bool {
        self.take_used(transport, true);
        self.filling.is_none() && self.in_flight() == 0
    }

    /// Takes back the chunks that the device is done with, sends what was gathered meanwhile, or forgets it if nobody
    /// is `connected`, and wakes who waits.
    pub(super) fn take_used(&mut self, transport: &mut SomeTransport<'static>, connected: bool) {
        let mut taken = false;
        while let Some(token) = self.queue.peek_used() {
            let Some(Some(chunk)) = self.sent.get_mut(usize::from(token)).map(Option::take) else { break };
            // SAFETY: the bytes that `send` gave to the device with this descriptor.
            let popped =
                unsafe { self.queue.pop_used(token, &[&chunk.buffer.as_slice()[..chunk.len]], &mut []) };
            if let Err(error) = popped {
                log::error!("virtio console: queue {}: {error}", self.index);
                break;
            }
            self.free.push(chunk.buffer);
            taken = true;
        }
        if !connected && let Some(chunk) = self.filling.take() {
            self.free.push(chunk.buffer);
        }
        if taken {
            if let Err(error) = self.push(transport) {
                log::error!("virtio console: queue {}: {error}", self.index);
            }
            self.wake();
        }
    }

    /// Wakes who waits for room, or for everything to be sent.
    pub(super) fn wake(&mut self) {
        self.waiting.wake();
    }

    /// Wakes `task` when chunks come back from the device, or when the host connects or disconnects.
    pub(super) fn wait(&mut self, task: &Context<'_>) {
        self.waiting.register(task);
    }

    fn in_flight(&self) -> usize {
        self.sent.iter().flatten().count()
    }

    fn empty_chunk(&mut self) -> Option<Chunk> {
        if self.in_flight() == CHUNKS {
            return None;
        }
        let buffer = self.free.pop().or_else(|| DmaBuffer::new(CHUNK_LEN))?;
        Some(Chunk { buffer, len: 0 })
    }

    /// Sends what has been gathered if the device has nothing to do.
    fn push(&mut self, transport: &mut SomeTransport<'static>) -> Result<(), Error> {
        match self.filling.take_if(|_| self.sent.iter().all(Option::is_none)) {
            Some(chunk) => self.send(chunk, transport),
            None => Ok(()),
        }
    }

    fn send(&mut self, chunk: Chunk, transport: &mut SomeTransport<'static>) -> Result<(), Error> {
        // SAFETY: the chunk is kept in `sent`, untouched, until `pop_used` gives it back.
        let token = unsafe { self.queue.add(&[&chunk.buffer.as_slice()[..chunk.len]], &mut []) }?;
        if let Some(place) = self.sent.get_mut(usize::from(token)) {
            *place = Some(chunk);
        }
        if self.queue.should_notify() {
            transport.notify(self.index);
        }
        Ok(())
    }
}
