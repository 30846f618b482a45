//! How fast the counters run: measured against a clock of known frequency, unless the processor
//! or the hypervisor says.
//!
//! CPUID leaf 16h is not used: it gives a nominal frequency in whole MHz, which need not be what the counter does.

use crate::{acpi::Tables, arch::local_apic, registers::Registers};
use core::arch::x86_64::{__cpuid, _rdtsc};
use x86_64::instructions::port::Port;

/// Stop measuring when the result is known to one part in this many.
const PRECISION: u64 = 2500;
/// Stop in any case after this long, in nanoseconds: a sixteenth below the PIT's turnaround.
const PATIENCE: u64 = 51_000_000;

/// A reference that has not moved for so many ticks of the time stamp counter (some 100 ms) is none.
const STANDSTILL: u64 = 1 << 28;

/// A measurement that began so many ticks of the time stamp counter ago (half a second or more) is too old: counters turn around
/// in some seconds, and a host that is busy may have kept the processor away for as long.
const STALE: u64 = 1 << 31;

/// How often the two counters tick in a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frequencies {
    /// The time stamp counter.
    pub tsc: u64,
    /// The local APIC's timer.
    pub apic_timer: u64,
}

/// A clock whose frequency is known.
enum Reference {
    /// High precision event timer: registers, femtoseconds in a tick.
    Hpet(Registers, u64),
    /// ACPI's power management timer: its port.
    PmTimer(u16),
    /// Channel 0 of the programmable interval timer, counting down once from 65535.
    Pit,
    /// The local APIC's timer, which hypervisors (QEMU, KVM) run at 1 GHz.
    LocalApic,
}

/// One look at all clocks at once, as far as that is possible.
#[derive(Clone, Copy)]
struct Sample {
    tsc: u64,
    /// How far apart the looks may be.
    uncertainty: u64,
    reference: u64,
    apic_timer: u32,
}

/// A measurement that has begun. It takes some milliseconds, in which the machine does something else.
pub struct Calibration {
    reference: Reference,
    first: Option<Sample>,
}

impl Calibration {
    /// Begins to measure.
    pub(super) fn begin(acpi: Option<&Tables>) -> Self {
        let reference = Reference::best(acpi);
        let first = begin(&reference);
        Self { reference, first }
    }

    /// Measures to the end, which takes no time if there was enough since the beginning. `None` if the machine has no clock to
    /// measure against, and does not say.
    pub(super) fn frequencies(self) -> Option<Frequencies> {
        /// The PIT runs out when the host does not let this processor run for 50 ms.
        const ATTEMPTS: usize = 4;
        let measure = |reference| end(reference, begin(reference)?);
        // SAFETY: reading the time stamp counter has no effect.
        let now = unsafe { _rdtsc() };
        let fresh = self.first.filter(|first| now.saturating_sub(first.tsc) < STALE);
        fresh
            .and_then(|first| end(&self.reference, first))
            .or_else(|| (1..ATTEMPTS).find_map(|_| measure(&self.reference)))
            .or_else(|| is_hypervisor().then(|| measure(&Reference::LocalApic)).flatten())
    }
}

/// The first look of a measurement.
fn begin(reference: &Reference) -> Option<Sample> {
    reference.start();
    local_apic::set_timer(u32::MAX);
    reference.sample()
}

/// The rest of a measurement. `None` if the reference stands still or has run out.
fn end(reference: &Reference, first: Sample) -> Option<Frequencies> {
    let (last, elapsed) = loop {
        let now = reference.sample()?;
        let elapsed = reference.nanoseconds(first.reference, now.reference);
        let ticks = now.tsc.saturating_sub(first.tsc);
        // A tick of the reference, in ticks of the counter, is uncertain too.
        let grain = ticks.saturating_mul(reference.grain()) / elapsed.max(1);
        if elapsed == 0 && ticks > STANDSTILL {
            return None;
        }
        let uncertainty = first.uncertainty + now.uncertainty + grain;
        if uncertainty.saturating_mul(PRECISION) <= ticks && elapsed > 0 || elapsed > PATIENCE {
            break (now, elapsed);
        }
    };
    local_apic::set_timer(0);
    let per_second = |ticks: u64| (u128::from(ticks) * 1_000_000_000 / u128::from(elapsed.max(1))) as u64;
    Some(Frequencies {
        tsc: announced().unwrap_or_else(|| per_second(last.tsc.saturating_sub(first.tsc))),
        apic_timer: per_second(first.apic_timer.saturating_sub(last.apic_timer).into()),
    })
}

/// The time stamp counter's frequency as the processor (leaf 15h) or the hypervisor (leaf 40000010h) gives it.
fn announced() -> Option<u64> {
    if __cpuid(0).eax >= 0x15 {
        let leaf = __cpuid(0x15);
        let product = u64::from(leaf.ecx) * u64::from(leaf.ebx);
        if product != 0 && leaf.eax != 0 {
            return Some(product / u64::from(leaf.eax));
        }
    }
    if is_hypervisor() && __cpuid(0x4000_0000).eax >= 0x4000_0010 {
        let kilohertz = u64::from(__cpuid(0x4000_0010).eax);
        return Some(kilohertz * 1000).filter(|&hertz| hertz != 0);
    }
    None
}

fn is_hypervisor() -> bool {
    const HYPERVISOR: u32 = 1 << 31;
    __cpuid(1).ecx & HYPERVISOR != 0
}

impl Reference {
    fn best(acpi: Option<&Tables>) -> Self {
        acpi.and_then(|tables| Self::hpet(tables).or_else(|| tables.pm_timer_port().map(Self::PmTimer)))
            .unwrap_or(Self::Pit)
    }

    fn hpet(tables: &Tables) -> Option<Self> {
        const CAPABILITIES: usize = 0;
        const LEN: usize = 0x100;
        /// The specification's limit for the period.
        const MAX_PERIOD: u64 = 100_000_000;
        let registers = Registers::map(tables.hpet_address()?, LEN);
        let period = registers.read::<u64>(CAPABILITIES) >> 32;
        (1..=MAX_PERIOD).contains(&period).then_some(Self::Hpet(registers, period))
    }

    /// Lets it run.
    fn start(&self) {
        const HPET_CONFIGURATION: usize = 0x10;
        const HPET_ENABLE: u64 = 1;
        match self {
            Self::Hpet(registers, _) => {
                let configuration = registers.read::<u64>(HPET_CONFIGURATION);
                registers.write(HPET_CONFIGURATION, configuration | HPET_ENABLE);
            }
            Self::PmTimer(_) | Self::LocalApic => {}
            Self::Pit => {
                // SAFETY: the PIT is this module's alone. Channel 0, both bytes, mode 0; its interrupt is masked.
                unsafe {
                    Port::new(PIT_COMMAND).write(0x30u8);
                    Port::new(PIT_CHANNEL_0).write(0xffu8);
                    Port::new(PIT_CHANNEL_0).write(0xffu8);
                }
            }
        }
    }

    /// The counter's low 32 bits or fewer, counting up; how many are counted is `nanoseconds`' business.
    /// `None` if it has run out.
    fn sample(&self) -> Option<Sample> {
        /// The tightest of this many looks: the host may take the processor away in the middle of one.
        const TRIES: usize = 8;
        let mut best: Option<Sample> = None;
        for _ in 0..TRIES {
            let sample = self.look()?;
            if best.is_none_or(|best| sample.uncertainty < best.uncertainty) {
                best = Some(sample);
            }
        }
        best
    }

    fn look(&self) -> Option<Sample> {
        const HPET_COUNTER: usize = 0xf0;
        // SAFETY: reading the time stamp counter, the PM timer and the PIT's count has no effect on anything but
        // the PIT's latch, which is this module's alone.
        unsafe {
            let before = _rdtsc();
            let reference = match self {
                Self::Hpet(registers, _) => u64::from(registers.read::<u32>(HPET_COUNTER)),
                Self::PmTimer(port) => u64::from(Port::<u32>::new(*port).read()),
                // Latches the count, which is fetched when the time does not matter.
                Self::Pit => {
                    Port::new(PIT_COMMAND).write(PIT_LATCH);
                    0
                }
                Self::LocalApic => 0,
            };
            // Right after the reference: a hypervisor takes long to get to the device, and returns quickly.
            let tsc = _rdtsc();
            let apic_timer = local_apic::timer();
            let after = _rdtsc();
            let reference = match self {
                Self::Hpet(..) | Self::PmTimer(_) => reference,
                Self::Pit => {
                    let mut port = Port::<u8>::new(PIT_CHANNEL_0);
                    let [status, low, high] = [port.read(), port.read(), port.read()];
                    if status & PIT_OUTPUT != 0 {
                        return None;
                    }
                    u64::from(u16::MAX - u16::from_le_bytes([low, high]))
                }
                Self::LocalApic => u64::from(u32::MAX - apic_timer),
            };
            Some(Sample { tsc, uncertainty: (after - before) / 2, reference, apic_timer })
        }
    }

    /// The time from one count to another, less than a turnaround later.
    fn nanoseconds(&self, from: u64, to: u64) -> u64 {
        let ticks = to.wrapping_sub(from)
            & match self {
                Self::Hpet(..) | Self::LocalApic => 0xffff_ffff,
                // Some machines have 32 bits; 24 are enough here.
                Self::PmTimer(_) => 0xff_ffff,
                Self::Pit => 0xffff,
            };
        self.ticks_to_nanoseconds(ticks)
    }

    /// The length of a tick in nanoseconds, rounded up.
    fn grain(&self) -> u64 {
        self.ticks_to_nanoseconds(1) + 1
    }

    fn ticks_to_nanoseconds(&self, ticks: u64) -> u64 {
        let frequency = match self {
            Self::Hpet(_, period) => return ticks * period / 1_000_000,
            Self::PmTimer(_) => PM_TIMER_FREQUENCY,
            Self::Pit => PIT_FREQUENCY,
            Self::LocalApic => return ticks,
        };
        ticks * 1_000_000_000 / frequency
    }
}

const PM_TIMER_FREQUENCY: u64 = 3_579_545;
const PIT_FREQUENCY: u64 = 1_193_182;
const PIT_CHANNEL_0: u16 = 0x40;
const PIT_COMMAND: u16 = 0x43;
/// Read-back: latch status and count of channel 0.
const PIT_LATCH: u8 = 0xc2;
/// In the status: the count has come to 0 since it was set.
const PIT_OUTPUT: u8 = 1 << 7;
