//! Virtio entropy device (VIRTIO 1.2, section 5.4): random bytes from the host.

use super::{Device, Error, request::RequestQueue};

/// Bytes asked for at once.
const REQUEST: usize = 64;
/// A host that rations its entropy may take a while; a seed is worth a second.
const PATIENCE: u64 = 1_000_000_000;

/// The driver. The device is started when it is first asked, which many programs never do.
pub struct Rng {
    unstarted: Option<Device>,
    queue: Option<RequestQueue>,
}

impl Rng {
    /// The driver of `device`.
    pub fn new(device: Device) -> Self {
        Self { unstarted: Some(device), queue: None }
    }

    /// Fills `bytes` from the device.
    ///
    /// # Errors
    /// What the device or its queue does wrong; [`Error::Timeout`] if it gives nothing.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        if let Some(device) = self.unstarted.take() {
            self.queue = Some(RequestQueue::new(device, 1, REQUEST, PATIENCE)?);
        }
        // One that could not be started gives nothing.
        let queue = self.queue.as_mut().ok_or(Error::Timeout)?;
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let random = queue.exchange(0, rest.len().min(REQUEST))?;
            if random.is_empty() {
                return Err(Error::Timeout);
            }
            rest[..random.len()].copy_from_slice(random);
            filled += random.len();
        }
        Ok(())
    }
}
