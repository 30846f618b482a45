//! What an in-memory file system may use of the host's memory.

use crate::{Error, Result};
use spin::Mutex;

/// What a node costs besides its content: a file of no bytes is not free. Measured, as the others are: `tests/heap.rs`.
pub(super) const NODE_COST: u64 = 512;

/// What a directory costs on top of that.
pub(super) const DIRECTORY_COST: u64 = 1024;

/// What a name in a directory costs besides its bytes.
pub(super) const ENTRY_COST: u64 = 128;

/// Bytes in use, up to a limit.
pub(super) struct Quota {
    limit: u64,
    used: Mutex<u64>,
}

impl Quota {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: Mutex::new(0) }
    }

    /// Takes `bytes`. [`Error::NoSpace`] when that would be beyond the limit.
    pub(super) fn charge(&self, bytes: u64) -> Result<()> {
        let mut used = self.used.lock();
        *used = used.checked_add(bytes).filter(|&sum| sum <= self.limit).ok_or(Error::NoSpace)?;
        Ok(())
    }

    /// Gives back what was charged.
    pub(super) fn release(&self, bytes: u64) {
        let mut used = self.used.lock();
        *used = used.saturating_sub(bytes);
    }

    pub(super) fn used(&self) -> u64 {
        *self.used.lock()
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }
}
