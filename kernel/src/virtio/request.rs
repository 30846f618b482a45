//! One request at a time, waited for by polling: what suits devices that answer in microseconds.

use super::{CommonFeatures, Device, DmaBuffer, Error, Hal};
use crate::time;
use core::hint::spin_loop;
use virtio_drivers::{queue::VirtQueue, transport::Transport};

/// The only queue of such a device.
const QUEUE: u16 = 0;
/// Descriptors in the queue; a request takes at most two.
const QUEUE_SIZE: usize = 4;

/// A device with one queue of requests and answers.
pub struct RequestQueue {
    device: Device,
    queue: VirtQueue<Hal, QUEUE_SIZE>,
    request: DmaBuffer,
    response: DmaBuffer,
    patience: u64,
    /// The device has had a request for too long. Its buffers stay its own for ever.
    stuck: bool,
}

impl RequestQueue {
    /// Starts the device. It gets `patience` nanoseconds for an answer; buffers hold `request` and `response` bytes.
    ///
    /// # Errors
    /// What the device or its queue does wrong; [`Error::NoMemory`].
    pub fn new(mut device: Device, request: usize, response: usize, patience: u64) -> Result<Self, Error> {
        let transport = &mut device.transport;
        transport.begin_init(CommonFeatures::VERSION_1);
        let mut queue = VirtQueue::new(transport, QUEUE, false, false)?;
        queue.set_dev_notify(false);
        let request = DmaBuffer::new(request).ok_or(Error::NoMemory)?;
        let response = DmaBuffer::new(response).ok_or(Error::NoMemory)?;
        transport.finish_init();
        Ok(Self { device, queue, request, response, patience, stuck: false })
    }

    /// The transport, for the configuration space.
    pub fn transport(&self) -> &impl Transport {
        &self.device.transport
    }

    /// The buffer for the next request.
    pub fn request(&mut self) -> &mut [u8] {
        // A device that is stuck may still read it, which harms nobody.
        self.request.as_mut_slice()
    }

    /// Sends the first `len` bytes of the request buffer (none for devices that only answer) and waits for the answer, of
    /// at most `room` bytes.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the device keeps the request for too long, and for every request after that.
    pub fn exchange(&mut self, len: usize, room: usize) -> Result<&[u8], Error> {
        if self.stuck {
            return Err(Error::Timeout);
        }
        let invalid = Error::Virtio(virtio_drivers::Error::InvalidParam);
        let (Some(request), Some(response)) =
            (self.request.as_slice().get(..len), self.response.as_mut_slice().get_mut(..room))
        else {
            return Err(invalid);
        };
        let inputs = [request];
        let inputs = if len == 0 { &[] } else { &inputs[..] };
        // SAFETY: both buffers are this queue's and untouched until the request is popped below, or for ever if the
        // device gets stuck.
        let token = unsafe { self.queue.add(inputs, &mut [&mut *response]) }?;
        if self.queue.should_notify() {
            self.device.transport.notify(QUEUE);
        }
        let deadline = time::monotonic().saturating_add(self.patience);
        while !self.queue.can_pop() {
            if time::monotonic() > deadline {
                self.stuck = true;
                return Err(Error::Timeout);
            }
            spin_loop();
        }
        // SAFETY: the same buffers as in `add`.
        let used = unsafe { self.queue.pop_used(token, inputs, &mut [&mut *response]) }?;
        Ok(&self.response.as_slice()[..room.min(used as usize)])
    }
}
