//! Randomness: the trait by which a machine gives it.

use crate::Result;

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `buffer` with bytes that nobody can predict (a cryptographic generator, properly seeded).
    ///
    /// # Errors
    /// [`Error::NoDevice`](crate::Error::NoDevice) on a machine with no source of entropy: never predictable bytes.
    fn fill(&self, buffer: &mut [u8]) -> Result<()>;
}
