//! What took how long, from the kernel's first instruction to the machine's end: for who asks with
//! [`manifest::TIMINGS_ARGUMENT`] on the command line.

use crate::{logger, time};
use alloc::vec::Vec;
use boot::BootInfo;
use manifest::TIMINGS_ARGUMENT;
use spin::Mutex;

/// Points in time that were reached.
struct Timings {
    /// The time stamp counter at the kernel's first instruction.
    entered: u64,
    points: Vec<(&'static str, u64)>,
}

/// `None` when nobody asked.
static TIMINGS: Mutex<Option<Timings>> = Mutex::new(None);

/// Begins to take times, if the command line asks for it.
pub fn init(info: &BootInfo) {
    if info.command_line().split_ascii_whitespace().any(|word| word == TIMINGS_ARGUMENT) {
        *TIMINGS.lock() = Some(Timings { entered: info.entered, points: Vec::new() });
    }
}

/// Notes that the machine has come to `point`.
pub fn reached(point: &'static str) {
    if let Some(timings) = &mut *TIMINGS.lock() {
        timings.points.push((point, time::ticks()));
    }
}

/// Logs the points that were reached, in milliseconds since the kernel was entered. For the machine's end: writing takes longer
/// than much of what is reported.
pub fn report() {
    let Some(timings) = TIMINGS.lock().take() else { return };
    for (point, at) in timings.points {
        let microseconds = time::duration(at.saturating_sub(timings.entered)) / 1000;
        logger::write(format_args!(
            "timings: {:6}.{:03} ms {point}\n",
            microseconds / 1000,
            microseconds % 1000
        ));
    }
}
