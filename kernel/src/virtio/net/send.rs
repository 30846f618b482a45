//! Frames to the host: each in a buffer of its own, taken back when room is needed. Nobody waits for one to be sent.

use super::{Header, MAX_FRAME, checksum};
use crate::virtio::{DmaBuffer, Error, Hal};
use alloc::{vec, vec::Vec};
use core::{
    mem,
    sync::atomic::{Ordering, fence},
};
use virtio_drivers::{queue::VirtQueue, transport::Transport};

const BUFFERS: usize = 256;
const BUFFER_LEN: usize = 2048;

const _: () = assert!(Header::LEN + MAX_FRAME <= BUFFER_LEN);

/// Frames that the device is not told of before more come: telling it costs as much as a frame, but it may work meanwhile.
pub(super) const AHEAD: usize = 16;

/// The queue of frames to send.
pub(super) struct Sender {
    queue: VirtQueue<Hal, BUFFERS>,
    index: u16,
    buffers: DmaBuffer,
    /// Bytes before each frame.
    header: usize,
    /// Buffers that the device does not have.
    free: Vec<usize>,
    /// Those that it has, by descriptor.
    sent: [Option<Sent>; BUFFERS],
    /// How many frames the device has not been told of.
    ahead: usize,
    /// The device has broken the queue's rules: it gets no more.
    broken: bool,
}

/// A buffer with `len` bytes in it.
#[derive(Clone, Copy)]
struct Sent {
    buffer: usize,
    len: usize,
}

impl Sender {
    pub(super) fn new(transport: &mut impl Transport, index: u16, header: usize) -> Result<Self, Error> {
        let mut queue = VirtQueue::new(transport, index, false, false)?;
        queue.set_dev_notify(false);
        Ok(Self {
            queue,
            index,
            buffers: DmaBuffer::new(BUFFERS * BUFFER_LEN).ok_or(Error::NoMemory)?,
            header,
            free: (0..BUFFERS).collect(),
            sent: [None; BUFFERS],
            ahead: 0,
            broken: false,
        })
    }

    /// Whether a frame can be sent.
    pub(super) fn has_room(&mut self) -> bool {
        if self.free.is_empty() {
            self.take_used();
        }
        !self.broken && !self.free.is_empty()
    }

    /// Whether the device interrupts when it has sent a frame.
    pub(super) fn interrupt(&mut self, enable: bool) {
        self.queue.set_dev_notify(enable);
        // What it sends before it has seen this, is seen by who looks for room after this.
        fence(Ordering::SeqCst);
    }

    /// Sends a frame of `len` bytes, which `fill` writes, at the latest when the device is [told of it](Self::announce); with a
    /// checksum that the device completes if `offload` is set. A frame for which there is no room, or that is too long, is
    /// lost, as frames are.
    pub(super) fn send<T>(
        &mut self,
        len: usize,
        offload: bool,
        transport: &mut impl Transport,
        fill: impl FnOnce(&mut [u8]) -> T,
    ) -> T {
        let buffer = if len <= MAX_FRAME && self.has_room() { self.free.pop() } else { None };
        let Some((buffer, bytes)) =
            buffer.and_then(|buffer| Some((buffer, slice(&mut self.buffers, buffer)?)))
        else {
            return fill(&mut vec![0; len]);
        };
        let end = self.header + len;
        let (header, frame) = bytes[..end].split_at_mut(self.header);
        let result = fill(frame);
        let partial = if offload { checksum::leave(frame) } else { Header::default() };
        header.copy_from_slice(&partial.encode()[..self.header]);
        // SAFETY: the buffers live as long as the queue; this one is neither free nor touched until `pop_used` gives it back.
        let added = unsafe { self.queue.add(&[&bytes[..end]], &mut []) };
        match added.ok().and_then(|token| self.sent.get_mut(usize::from(token))) {
            Some(place) => {
                *place = Some(Sent { buffer, len: end });
                self.ahead += 1;
            }
            None => self.free.push(buffer),
        }
        if self.ahead >= AHEAD {
            self.announce(transport);
        }
        result
    }

    /// Tells the device of the frames that it does not know.
    pub(super) fn announce(&mut self, transport: &mut impl Transport) {
        if mem::take(&mut self.ahead) > 0 && self.queue.should_notify() {
            transport.notify(self.index);
        }
    }

    /// Takes back the buffers that the device is done with.
    fn take_used(&mut self) {
        while !self.broken
            && let Some(token) = self.queue.peek_used()
        {
            let taken = self.take_from(token);
            if taken.is_none() {
                log::error!("virtio network device: it has sent what it was not given, and is given up");
                self.broken = true;
            }
        }
    }

    /// Takes back the buffer of this descriptor; `None` if the device does not have it.
    fn take_from(&mut self, token: u16) -> Option<()> {
        let Sent { buffer, len } = self.sent.get_mut(usize::from(token))?.take()?;
        let bytes = slice(&mut self.buffers, buffer)?.get(..len)?;
        // SAFETY: the bytes that `send` gave to the device with this descriptor.
        unsafe { self.queue.pop_used(token, &[bytes], &mut []) }.ok()?;
        self.free.push(buffer);
        Some(())
    }
}

fn slice(buffers: &mut DmaBuffer, buffer: usize) -> Option<&mut [u8]> {
    buffers.as_mut_slice().chunks_exact_mut(BUFFER_LEN).nth(buffer)
}
