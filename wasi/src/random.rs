//! Randomness: the trait by which a machine gives it.

use crate::{Error, Result};

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `buffer` with bytes that nobody can predict (a cryptographic generator, properly seeded).
    ///
    /// # Errors
    /// [`Error::NoDevice`](crate::Error::NoDevice) on a machine with no source of entropy: never predictable bytes.
    fn fill(&self, buffer: &mut [u8]) -> Result<()>;
}

/// Bytes between two looks at the clock.
pub(crate) const PIECE: usize = 16 << 10;

/// Fills `buffer` from `start` on, piece by piece, asking `pause` between them; if it says so, the rest is for later, and how
/// far it has come is the result.
pub(crate) fn fill(
    entropy: &dyn Entropy,
    buffer: &mut [u8],
    start: usize,
    mut pause: impl FnMut() -> bool,
) -> Result<Option<usize>> {
    let mut done = start;
    for piece in buffer.get_mut(start..).ok_or(Error::Fault)?.chunks_mut(PIECE) {
        entropy.fill(piece)?;
        done = done.saturating_add(piece.len());
        if piece.len() == PIECE && pause() {
            return Ok(Some(done));
        }
    }
    Ok(None)
}
