//! Virtio 9P transport (VIRTIO 1.2, section 5.10): messages to the host's file server and back.

use super::{Device, Error, request::RequestQueue};
use alloc::{string::String, vec::Vec};
use virtio_drivers::transport::Transport as _;
use wasi::filesystem::p9;

/// The longest message. Larger ones carry more file per round trip, and cost as much memory, twice, for each mount.
const MAX_MESSAGE: usize = 256 << 10;
/// A disk may be slow to wake; a host that takes longer than this is lost.
const PATIENCE: u64 = 60_000_000_000;

/// A connection to one shared directory of the host.
pub struct P9 {
    queue: RequestQueue,
    tag: String,
}

impl P9 {
    /// Starts the device.
    ///
    /// # Errors
    /// What the device or its queue does wrong; [`Error::NoMemory`].
    pub fn new(device: Device) -> Result<Self, Error> {
        let queue = RequestQueue::new(device, MAX_MESSAGE, MAX_MESSAGE, PATIENCE)?;
        let transport = queue.transport();
        let len = transport.read_config_space::<u16>(0)?;
        let tag: Vec<u8> = (0..usize::from(len))
            .map(|index| transport.read_config_space(size_of::<u16>() + index))
            .collect::<Result<_, _>>()?;
        let tag = String::from_utf8_lossy(&tag).into_owned();
        Ok(Self { queue, tag })
    }

    /// The name that the host gave the directory.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl p9::Transport for P9 {
    fn max_message(&self) -> usize {
        MAX_MESSAGE
    }

    // The buffers are the queue's own: a device that answers after the wait has ended writes into nobody's memory.
    fn exchange(&mut self, request: &[&[u8]], reply: &mut [&mut [u8]]) -> wasi::Result<usize> {
        let mut len = 0;
        for part in request {
            let end = part.len().checked_add(len).ok_or(wasi::Error::Invalid)?;
            self.queue.request().get_mut(len..end).ok_or(wasi::Error::Invalid)?.copy_from_slice(part);
            len = end;
        }
        let room = reply.iter().map(|part| part.len()).sum::<usize>().min(MAX_MESSAGE);
        let mut rest = self.queue.exchange(len, room).map_err(|error| {
            log::error!("9p mount {:?}: {error}", self.tag);
            wasi::Error::Io
        })?;
        let received = rest.len();
        for part in reply {
            let (now, later) = rest.split_at(rest.len().min(part.len()));
            part[..now.len()].copy_from_slice(now);
            rest = later;
        }
        Ok(received)
    }
}
