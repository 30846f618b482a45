//! Virtio entropy device (VIRTIO 1.2, section 5.4): random bytes from the host.

use super::{Device, Error, request::RequestQueue};

/// Bytes asked for at once.
const REQUEST: usize = 64;
/// A host that rations its entropy may take a while; a seed is worth a second.
const PATIENCE: u64 = 1_000_000_000;

/// The driver.
pub struct Rng(RequestQueue);

impl Rng {
    /// Starts the device.
    ///
    /// # Errors
    /// What the device or its queue does wrong.
    pub fn new(device: Device) -> Result<Self, Error> {
        RequestQueue::new(device, 1, REQUEST, PATIENCE).map(Self)
    }

    /// Fills `bytes` from the device.
    ///
    /// # Errors
    /// [`Error::Timeout`] if the device gives nothing.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let random = self.0.exchange(0, rest.len().min(REQUEST))?;
            if random.is_empty() {
                return Err(Error::Timeout);
            }
            rest[..random.len()].copy_from_slice(random);
            filled += random.len();
        }
        Ok(())
    }
}
