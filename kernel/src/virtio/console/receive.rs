//! From the host: buffers that the device fills, and the bytes in them that nobody has read yet.

use super::QUEUE_SIZE;
use crate::{
    executor::Wakers,
    virtio::{DmaBuffer, Error, Hal},
};
use alloc::collections::VecDeque;
use core::{ops::Range, task::Context};
use virtio_drivers::{
    queue::VirtQueue,
    transport::{SomeTransport, Transport},
};

/// QEMU moves at most 4 KiB at a time, each into one buffer.
const BUFFER_LEN: usize = 4096;
/// As many as the queue has room for: 128 KiB, enough that the host goes on while the program computes.
const BUFFERS: usize = QUEUE_SIZE;
/// How many emptied buffers the device is told of at once.
const BATCH: usize = BUFFERS / 4;

/// One direction of a port. Closed (and without memory for buffers) until it is opened.
pub(super) struct Receiver {
    queue: VirtQueue<Hal, QUEUE_SIZE>,
    index: u16,
    buffers: Option<DmaBuffer>,
    /// Which buffer each descriptor has.
    owners: [u16; BUFFERS],
    /// Buffers with bytes to read, oldest first.
    filled: VecDeque<Filled>,
    /// Buffers given back to the device that it has not been told of.
    unannounced: usize,
    waiting: Wakers,
}

struct Filled {
    buffer: u16,
    bytes: Range<usize>,
}

impl Receiver {
    pub(super) fn new(transport: &mut SomeTransport<'static>, index: u16) -> Result<Self, Error> {
        let queue = VirtQueue::new(transport, index, false, false)?;
        Ok(Self {
            queue,
            index,
            buffers: None,
            owners: [0; BUFFERS],
            filled: VecDeque::new(),
            unannounced: 0,
            waiting: Wakers::default(),
        })
    }

    pub(super) fn index(&self) -> u16 {
        self.index
    }

    /// Gives the device its buffers; nothing if it has them.
    pub(super) fn open(&mut self, transport: &mut SomeTransport<'static>) -> Result<(), Error> {
        if self.buffers.is_some() {
            return Ok(());
        }
        self.buffers = Some(DmaBuffer::new(BUFFERS * BUFFER_LEN).ok_or(Error::NoMemory)?);
        for buffer in 0..BUFFERS as u16 {
            self.post(buffer)?;
        }
        self.announce(transport);
        Ok(())
    }

    /// Copies what there is into `into`; 0 if there is nothing.
    pub(super) fn read(&mut self, into: &mut [u8], transport: &mut SomeTransport<'static>) -> usize {
        let mut read = 0;
        while read < into.len() {
            let Some(Filled { buffer, bytes }) = self.filled.front_mut() else {
                if self.take_used() { continue } else { break }
            };
            let buffer = *buffer;
            let len = bytes.len().min(into.len() - read);
            let from = bytes.start..bytes.start + len;
            bytes.start += len;
            let empty = bytes.start == bytes.end;
            let Some(slice) = slice(&mut self.buffers, buffer) else { break };
            into[read..read + len].copy_from_slice(&slice[from]);
            read += len;
            if empty {
                self.filled.pop_front();
                if let Err(error) = self.post(buffer) {
                    log::error!("virtio console: queue {}: {error}", self.index);
                }
            }
        }
        if self.unannounced >= BATCH || (self.filled.is_empty() && self.unannounced > 0) {
            self.announce(transport);
        }
        read
    }

    /// How many bytes can be read now.
    pub(super) fn available(&mut self) -> usize {
        self.take_used();
        self.filled.iter().map(|filled| filled.bytes.len()).sum()
    }

    /// Takes the buffers that the device has filled, and wakes who waits for them. `false` if there are none.
    pub(super) fn take_used(&mut self) -> bool {
        let mut taken = false;
        while let Some(token) = self.queue.peek_used() {
            let Some(&buffer) = self.owners.get(usize::from(token)) else { break };
            let Some(slice) = slice(&mut self.buffers, buffer) else { break };
            // SAFETY: the buffer that `post` gave to the device with this descriptor.
            let Ok(len) = (unsafe { self.queue.pop_used(token, &[], &mut [slice]) }) else { break };
            self.filled.push_back(Filled { buffer, bytes: 0..BUFFER_LEN.min(len as usize) });
            taken = true;
        }
        if taken {
            self.wake();
        }
        taken
    }

    /// Wakes who waits for bytes, or for the end.
    pub(super) fn wake(&mut self) {
        self.waiting.wake();
    }

    /// Wakes `task` when there are bytes, or when the host connects or disconnects.
    pub(super) fn wait(&mut self, task: &Context<'_>) {
        self.waiting.register(task);
    }

    fn post(&mut self, buffer: u16) -> Result<(), Error> {
        let Some(slice) = slice(&mut self.buffers, buffer) else { return Err(Error::NoMemory) };
        // SAFETY: the buffers live as long as the queue; this one is left alone until `pop_used` gives it back.
        let token = unsafe { self.queue.add(&[], &mut [slice]) }?;
        if let Some(owner) = self.owners.get_mut(usize::from(token)) {
            *owner = buffer;
        }
        self.unannounced += 1;
        Ok(())
    }

    fn announce(&mut self, transport: &mut SomeTransport<'static>) {
        self.unannounced = 0;
        if self.queue.should_notify() {
            transport.notify(self.index);
        }
    }
}

fn slice(buffers: &mut Option<DmaBuffer>, buffer: u16) -> Option<&mut [u8]> {
    buffers.as_mut()?.as_mut_slice().chunks_exact_mut(BUFFER_LEN).nth(buffer.into())
}
