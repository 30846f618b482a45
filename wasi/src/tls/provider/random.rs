//! The randomness of handshakes.
//!
//! rustls wants its source of random bytes to live for ever, while a machine's [`Entropy`] comes and goes. So there is one
//! generator for all, with nothing in it at first, and each connection stirs a fresh seed from its machine into it
//! before anything is drawn: who knows the seeds of other machines, or what was drawn before, knows nothing of what is drawn then.

use crate::{
    Result,
    random::{Entropy, Generator, Seed},
};
use core::num::NonZeroUsize;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rustls::crypto::{GetRandomFailed, SecureRandom};
use spin::Mutex;

static GENERATOR: Mutex<Generator> = Mutex::new(Generator::new(NonZeroUsize::MAX));

/// Stirs a seed from `entropy` in.
///
/// # Errors
/// Those of `entropy`.
pub(crate) fn stir(entropy: &dyn Entropy) -> Result<()> {
    let mut seed = Seed::default();
    entropy.fill(&mut seed)?;
    let mut generator = GENERATOR.lock();
    generator.expire();
    // At least one byte, so that the seed is used.
    generator.fill(&mut [0], || Ok(seed))
}

/// What was stirred.
#[derive(Debug)]
pub(super) struct Random;

impl Random {
    /// A generator for the secrets of one exchange.
    pub(super) fn generator() -> core::result::Result<ChaCha20Rng, GetRandomFailed> {
        let mut seed = Seed::default();
        Self.fill(&mut seed)?;
        Ok(ChaCha20Rng::from_seed(seed))
    }
}

impl SecureRandom for Random {
    fn fill(&self, buffer: &mut [u8]) -> core::result::Result<(), GetRandomFailed> {
        // Never asked for a seed that was not stirred in: then there are no bytes.
        GENERATOR.lock().fill(buffer, || Err(crate::Error::NoDevice)).map_err(|_| GetRandomFailed)
    }
}
