//! A hosted system as a [`Machine`](crate::Machine) (feature `std`): clocks, entropy, stdio, homes for linear memories, and
//! a `block_on`.

mod clock;
#[cfg(unix)]
mod memories;
mod stdio;

pub use clock::SystemClock;
pub use futures_executor::block_on;
#[cfg(unix)]
pub use memories::MappedMemories;
pub use stdio::{Stderr, Stdin, Stdout};

use crate::{Error, Machine, Result, random::Entropy};
use alloc::sync::Arc;

/// This process's system as a machine.
pub fn machine() -> Machine {
    Machine {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        #[cfg(unix)]
        memories: Some(Arc::new(MappedMemories)),
        #[cfg(not(unix))]
        memories: None,
    }
}

/// The operating system's random bytes.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        getrandom::fill(buffer).map_err(|_| Error::NoDevice)
    }
}
