//! Frames from the host: buffers that the device fills, each of which it gets back as soon as its frame is copied out.

use super::{Header, MAX_FRAME};
use crate::virtio::{DmaBuffer, Error, Hal};
use virtio_drivers::{queue::VirtQueue, transport::Transport};

/// Enough for a whole TCP window of 256 KiB; what comes while all are full, the host keeps.
const BUFFERS: usize = 256;
/// One for each frame with its header, none across the boundary of a page.
const BUFFER_LEN: usize = 2048;
/// How many emptied buffers the device is told of at once.
const BATCH: usize = BUFFERS / 4;

const _: () = assert!(Header::LEN + MAX_FRAME <= BUFFER_LEN);

/// The queue of received frames.
pub(super) struct Receiver {
    queue: VirtQueue<Hal, BUFFERS>,
    index: u16,
    buffers: DmaBuffer,
    /// Bytes before each frame.
    header: usize,
    /// Buffers given back to the device that it has not been told of.
    unannounced: usize,
    /// The device has broken the queue's rules: nothing of it is believed any more.
    broken: bool,
}

impl Receiver {
    /// Sets the queue up and fills it with buffers, which the device is still to be told of.
    pub(super) fn new(transport: &mut impl Transport, index: u16, header: usize) -> Result<Self, Error> {
        let mut receiver = Self {
            queue: VirtQueue::new(transport, index, false, false)?,
            index,
            buffers: DmaBuffer::new(BUFFERS * BUFFER_LEN).ok_or(Error::NoMemory)?,
            header,
            unannounced: 0,
            broken: false,
        };
        for buffer in 0..BUFFERS {
            receiver.post(buffer)?;
        }
        Ok(receiver)
    }

    /// Whether there is a frame, as far as can be told without taking it.
    pub(super) fn has_frame(&self) -> bool {
        !self.broken && self.queue.can_pop()
    }

    /// Copies the next frame into `frame`: its header and its length. `None` if there is none.
    pub(super) fn take(&mut self, frame: &mut [u8]) -> Option<(Header, usize)> {
        if self.broken {
            return None;
        }
        let buffer = usize::from(self.queue.peek_used()?);
        let taken = self.take_from(buffer, frame);
        if taken.is_none() {
            log::error!("virtio network device: it gives back a buffer that it never had, and is given up");
            self.broken = true;
        }
        taken
    }

    /// As [`take`](Self::take), from this buffer; `None` if the device cannot have filled it.
    fn take_from(&mut self, buffer: usize, frame: &mut [u8]) -> Option<(Header, usize)> {
        let slice = slice(&mut self.buffers, buffer)?;
        // SAFETY: descriptor n is buffer n (see `post`), and the device has all of them.
        let len = unsafe { self.queue.pop_used(buffer as u16, &[], &mut [&mut *slice]) }.ok()?;
        let bytes = slice.get(..len as usize).unwrap_or_default();
        let (header, received) = bytes.split_at_checked(self.header).unwrap_or_default();
        let header = Header::decode(header);
        let len = received.len().min(frame.len());
        frame[..len].copy_from_slice(&received[..len]);
        self.post(buffer).ok()?;
        Some((header, len))
    }

    /// Tells the device of the buffers that it has got back.
    pub(super) fn announce(&mut self, transport: &mut impl Transport) {
        if self.unannounced > 0 && self.queue.should_notify() {
            transport.notify(self.index);
        }
        self.unannounced = 0;
    }

    /// As [`announce`](Self::announce), once it is worth it.
    pub(super) fn announce_many(&mut self, transport: &mut impl Transport) {
        if self.unannounced >= BATCH {
            self.announce(transport);
        }
    }

    /// Gives a buffer to the device.
    fn post(&mut self, buffer: usize) -> Result<(), Error> {
        let slice = slice(&mut self.buffers, buffer).ok_or(Error::NoMemory)?;
        // SAFETY: the buffers live as long as the queue; this one is left alone until `pop_used` gives it back. One descriptor
        // each, all buffers posted in order and given back one by one: descriptor n is always buffer n.
        let token = unsafe { self.queue.add(&[], &mut [slice]) }?;
        debug_assert_eq!(usize::from(token), buffer);
        self.unannounced += 1;
        Ok(())
    }
}

fn slice(buffers: &mut DmaBuffer, buffer: usize) -> Option<&mut [u8]> {
    buffers.as_mut_slice().chunks_exact_mut(BUFFER_LEN).nth(buffer)
}
