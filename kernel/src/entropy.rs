//! Random bytes: a [`Generator`], seeded from the processor (RDSEED, RDRAND) and the host (virtio-rng).
//!
//! A seed is taken from every source that the machine has, mixed so that one good source is enough. It is taken
//! when the first bytes are asked for, and again every [`RESEED`] bytes. With no source there are no bytes: never
//! predictable ones.

use crate::virtio::{Device, rng::Rng};
use alloc::{sync::Arc, vec::Vec};
use core::{
    arch::x86_64::{__cpuid, __cpuid_count, _rdrand64_step, _rdseed64_step},
    num::NonZeroUsize,
};
use spin::Mutex;
use wasi::{
    Error, Result,
    random::{Entropy, Generator, Seed},
};

/// How many bytes one seed serves.
const RESEED: NonZeroUsize = NonZeroUsize::new(1 << 20).expect("not 0");

/// The machine's randomness.
pub struct MachineEntropy(Mutex<State>);

struct State {
    devices: Vec<Rng>,
    generator: Generator,
}

impl MachineEntropy {
    /// With these devices and what the processor has.
    pub fn new(devices: Vec<Device>) -> Arc<Self> {
        let devices = devices.into_iter().map(Rng::new).collect();
        Arc::new(Self(Mutex::new(State { devices, generator: Generator::new(RESEED) })))
    }
}

impl Entropy for MachineEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        let State { devices, generator } = &mut *self.0.lock();
        generator.fill(buffer, || seed(devices).ok_or(Error::NoDevice))
    }
}

/// A seed from all sources that give one. `None` if none of them gives anything.
///
/// The sources are combined by exclusive or: they are independent, so the result is as good as the best of them.
fn seed(devices: &mut [Rng]) -> Option<Seed> {
    let from_devices = devices.iter_mut().filter_map(|device| {
        let mut bytes = Seed::default();
        let result = device.fill(&mut bytes);
        result.inspect_err(|error| log::warn!("virtio entropy device: {error}")).ok()?;
        Some(bytes)
    });
    from_processor().into_iter().chain(from_devices).reduce(mix)
}

fn mix(mut a: Seed, b: Seed) -> Seed {
    a.iter_mut().zip(b).for_each(|(a, b)| *a ^= b);
    a
}

/// A seed from RDSEED, else from RDRAND; `None` if the processor has neither, or if they give nothing.
fn from_processor() -> Option<Seed> {
    const RDRAND: u32 = 1 << 30;
    const RDSEED: u32 = 1 << 18;
    /// RDSEED may be drained for a while.
    const TRIES: usize = 1000;

    let has_rdseed = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & RDSEED != 0;
    let has_rdrand = __cpuid(1).ecx & RDRAND != 0;
    let word = || {
        (0..TRIES).find_map(|_| {
            let mut word = 0;
            // SAFETY: the processor has the instruction that is executed.
            let done = unsafe {
                has_rdseed && _rdseed64_step(&mut word) == 1 || has_rdrand && _rdrand64_step(&mut word) == 1
            };
            done.then_some(word)
        })
    };
    let mut seed = Seed::default();
    let mut last = None;
    for bytes in seed.chunks_exact_mut(size_of::<u64>()) {
        let word = word()?;
        // A broken processor gives one value for ever (some did: all ones).
        if last.replace(word) == Some(word) {
            return None;
        }
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Some(seed)
}
