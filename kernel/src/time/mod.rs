//! Time: the monotonic clock (the processor's time stamp counter), the wall clock (read once from the real-time
//! clock), and the one timer that ends the processor's sleep.

mod calibrate;
mod rtc;

pub use calibrate::Calibration;

use crate::{acpi::Tables, arch::local_apic};
use alloc::sync::Arc;
use core::arch::x86_64::_rdtsc;
use spin::Once;
use wasi::{
    Error, Result,
    clocks::{Clock, TimerQueue},
    types::Nanoseconds,
};

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

static CLOCK: Once<Arc<MachineClock>> = Once::new();

/// The machine's clocks, as guests see them.
pub struct MachineClock {
    /// The time stamp counter when the monotonic clock was at 0.
    start: u64,
    /// Nanoseconds in a tick of the time stamp counter.
    tsc_period: Ratio,
    resolution: Nanoseconds,
    /// Ticks of the local APIC's timer in a nanosecond.
    apic_ticks: Ratio,
    /// What the wall clock said when the monotonic clock was at 0.
    wall_at_start: Option<Nanoseconds>,
    timers: Arc<TimerQueue>,
}

/// A factor, in units of 2⁻³².
#[derive(Clone, Copy)]
struct Ratio(u64);

impl Ratio {
    fn new(numerator: u64, denominator: u64) -> Self {
        Self(((u128::from(numerator) << 32) / u128::from(denominator.max(1))) as u64)
    }

    fn of(self, value: u64) -> u64 {
        ((u128::from(value) * u128::from(self.0)) >> 32) as u64
    }
}

/// Begins to measure how fast the processor's counters run. `acpi` tells of the clocks to measure against.
pub fn calibrate(acpi: Option<&Tables>) -> Calibration {
    Calibration::begin(acpi)
}

/// Sets up the clocks, which are for guests, and the timer.
pub fn init(calibration: Calibration) -> Arc<dyn Clock> {
    let clock = CLOCK.call_once(|| {
        let frequencies = calibration.frequencies().unwrap_or_else(|| {
            log::error!(
                "no HPET, PM timer or PIT to measure the processor's clock with: time runs at a wrong rate"
            );
            calibrate::Frequencies { tsc: NANOSECONDS_PER_SECOND, apic_timer: NANOSECONDS_PER_SECOND }
        });
        log::debug!("{frequencies:?} Hz; counted {} so far", ticks());
        let tsc_period = Ratio::new(NANOSECONDS_PER_SECOND, frequencies.tsc);
        let wall_at_start = rtc::now().map(|seconds| {
            // Somewhere in this second, then: its middle is the best guess.
            seconds * NANOSECONDS_PER_SECOND + NANOSECONDS_PER_SECOND / 2
        });
        if wall_at_start.is_none() {
            log::warn!("no real-time clock: the date is not known");
        }
        Arc::new(MachineClock {
            start: ticks(),
            tsc_period,
            resolution: tsc_period.of(1).max(1),
            apic_ticks: Ratio::new(frequencies.apic_timer, NANOSECONDS_PER_SECOND),
            wall_at_start,
            // Nobody sleeps while a timer is set: the executor arms the hardware before it does.
            timers: Arc::new(TimerQueue::new(|_| {})),
        })
    });
    clock.clone()
}

/// The monotonic clock; 0 until [`init`].
pub fn monotonic() -> Nanoseconds {
    CLOCK.get().map_or(0, |clock| clock.monotonic())
}

/// Wakes those whose time has come.
pub fn fire_timers() {
    if let Some(clock) = CLOCK.get()
        && clock.timers.next_deadline().is_some()
    {
        clock.timers.fire(clock.monotonic());
    }
}

/// Makes the timer interrupt at the earliest deadline, if there is one. `false` if that has come already.
pub fn arm_timer() -> bool {
    let Some(clock) = CLOCK.get() else { return true };
    let Some(deadline) = clock.timers.next_deadline() else { return true };
    let Some(wait) = deadline.checked_sub(clock.monotonic()).filter(|&wait| wait > 0) else { return false };
    // One tick more, so as not to wake before the deadline. A count that is too long ends early; the sleeper looks again.
    let count = clock.apic_ticks.of(wait).saturating_add(1);
    local_apic::set_timer(u32::try_from(count).unwrap_or(u32::MAX));
    true
}

impl Clock for MachineClock {
    fn monotonic(&self) -> Nanoseconds {
        self.tsc_period.of(ticks().saturating_sub(self.start))
    }

    fn monotonic_resolution(&self) -> Nanoseconds {
        self.resolution
    }

    fn wall(&self) -> Result<Nanoseconds> {
        self.wall_at_start.map(|start| start.saturating_add(self.monotonic())).ok_or(Error::NoDevice)
    }

    fn wall_resolution(&self) -> Nanoseconds {
        self.resolution
    }

    fn timers(&self) -> &Arc<TimerQueue> {
        &self.timers
    }
}

/// How long so many ticks of the time stamp counter are; 0 until [`init`].
pub fn duration(ticks: u64) -> Nanoseconds {
    CLOCK.get().map_or(0, |clock| clock.tsc_period.of(ticks))
}

/// The time stamp counter.
pub fn ticks() -> u64 {
    // SAFETY: reading the time stamp counter has no effect.
    unsafe { _rdtsc() }
}

/// The real-time clock's seconds, which the wall clock was set from.
#[cfg(feature = "selftest")]
pub fn real_time_clock() -> Option<u64> {
    rtc::now()
}
