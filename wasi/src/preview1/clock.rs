//! Clocks: `clock_res_get`, `clock_time_get`.

use super::{Polled, Preview1, types::ClockId};
use crate::{Error, Result, clocks::Clock, guest::GuestPtr, types::Nanoseconds};
use core::task::Poll;

/// Writes the smallest step of a clock. As in wasmtime, `BADF` for the clocks of processor time.
pub fn clock_res_get(call: &mut Preview1<'_>, clock: ClockId, resolution: GuestPtr<u64>) -> Polled {
    let nanoseconds = match clock {
        ClockId::Realtime => call.state.clock.wall_resolution(),
        ClockId::Monotonic => call.state.clock.monotonic_resolution(),
        ClockId::CpuTime => Err(Error::BadDescriptor)?,
    };
    Poll::Ready(resolution.write(&mut call.memory, nanoseconds))
}

/// Writes a clock's time. The precision that the guest asks for is not needed.
pub fn clock_time_get(
    call: &mut Preview1<'_>,
    clock: ClockId,
    _precision: u64,
    time: GuestPtr<u64>,
) -> Polled {
    let now = clock.now(&*call.state.clock)?;
    Poll::Ready(time.write(&mut call.memory, now))
}

impl ClockId {
    /// The clock's time.
    pub(super) fn now(self, clock: &dyn Clock) -> Result<Nanoseconds> {
        match self {
            Self::Realtime => clock.wall(),
            Self::Monotonic => Ok(clock.monotonic()),
            Self::CpuTime => Err(Error::BadDescriptor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview1::testing::*;

    #[test]
    fn each_clock_tells_its_own_time() {
        let mut guest = guest();
        let mut time = |clock| guest.result(|call, out| clock_time_get(call, clock, 1, out));
        assert_eq!(time(ClockId::Realtime), Ok(EPOCH + 1_000));
        assert_eq!(time(ClockId::Monotonic), Ok(1_000));
        assert_eq!(time(ClockId::CpuTime), Err(Error::BadDescriptor));
        let mut resolution = |clock| guest.result(|call, out| clock_res_get(call, clock, out));
        assert_eq!(resolution(ClockId::Realtime), Ok(1_000));
        assert_eq!(resolution(ClockId::Monotonic), Ok(7));
        assert_eq!(resolution(ClockId::CpuTime), Err(Error::BadDescriptor));
    }
}
