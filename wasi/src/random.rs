//! Randomness: the trait by which a machine gives it, and the generator that makes much of a little.

use crate::{Error, Result};
use core::num::NonZeroUsize;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng},
};

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `buffer` with bytes that nobody can predict (a cryptographic generator, properly seeded).
    ///
    /// # Errors
    /// [`Error::NoDevice`] on a machine with no source of entropy: never predictable bytes.
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

/// What a generator is seeded with.
pub type Seed = [u8; 32];

/// A ChaCha20 generator for an [`Entropy`] whose source is slow (a system call, a device): it is seeded when its first bytes are
/// asked for, and again from time to time, so that whoever learns its state cannot tell what comes later.
pub struct Generator {
    interval: NonZeroUsize,
    random: Option<ChaCha20Rng>,
    /// Bytes until it is seeded again.
    left: usize,
}

impl Generator {
    /// One that is not seeded yet. It will be after every `interval` bytes at the latest.
    pub const fn new(interval: NonZeroUsize) -> Self {
        Self { interval, random: None, left: 0 }
    }

    /// Makes it ask for a seed before it gives another byte.
    pub fn expire(&mut self) {
        self.left = 0;
    }

    /// Fills `buffer`. A seed from `seed` is mixed with what the generator has had so far: one good seed, now or before, is enough.
    ///
    /// # Errors
    /// Those of `seed`; the next call asks it again.
    pub fn fill(&mut self, buffer: &mut [u8], mut seed: impl FnMut() -> Result<Seed>) -> Result<()> {
        for piece in buffer.chunks_mut(self.interval.get()) {
            let random = match &mut self.random {
                Some(random) if self.left >= piece.len() => random,
                old => {
                    let mut new = seed()?;
                    if let Some(old) = old {
                        let mut mixed_in = Seed::default();
                        old.fill_bytes(&mut mixed_in);
                        new.iter_mut().zip(mixed_in).for_each(|(new, mixed_in)| *new ^= mixed_in);
                    }
                    self.left = self.interval.get();
                    old.insert(ChaCha20Rng::from_seed(new))
                }
            };
            random.fill_bytes(piece);
            self.left = self.left.saturating_sub(piece.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: usize = 100;

    fn generator() -> Generator {
        Generator::new(NonZeroUsize::new(INTERVAL).unwrap())
    }

    #[test]
    fn it_is_seeded_when_it_is_used_and_after_each_interval() {
        let (mut generator, mut seeds) = (generator(), 0_u8);
        for (len, expected) in [(1, 1), (99, 1), (1, 2), (100, 3), (2 * INTERVAL + 1, 6), (99, 6), (1, 7)] {
            let mut bytes = alloc::vec![0; len];
            let result = generator.fill(&mut bytes, || {
                seeds += 1;
                Ok([seeds; 32])
            });
            assert_eq!((result, seeds), (Ok(()), expected), "{len} bytes");
        }
        generator.expire();
        assert_eq!(generator.fill(&mut [0], || Err(Error::NoDevice)), Err(Error::NoDevice));
        assert_eq!(generator.fill(&mut [0], || Err(Error::Io)), Err(Error::Io), "asked again");
        assert_eq!(generator.fill(&mut [0], || Ok([0; 32])), Ok(()));
    }

    #[test]
    fn the_same_seed_again_gives_other_bytes() {
        let mut generator = generator();
        let mut outputs = [[0; INTERVAL]; 3];
        for output in &mut outputs {
            generator.fill(output, || Ok([7; 32])).unwrap();
        }
        assert!(outputs[0] != outputs[1] && outputs[1] != outputs[2] && outputs[0] != outputs[2]);
        assert!(outputs.iter().all(|output| output.iter().any(|byte| *byte != 0)));
    }
}
