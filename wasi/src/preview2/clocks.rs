//! `wasi:clocks`: `monotonic-clock` and `wall-clock`. (`timezone` is not stable, and left out.)

use super::{
    Interfaces, Polled, Preview2, failed, interface,
    io::{Pollable, Source},
    offer, refused,
};
use crate::{Error, Result, types::Nanoseconds};
use component::Own;
use core::task::Poll;

const SECOND: Nanoseconds = 1_000_000_000;

component::record! {
    /// An instant on the wall clock.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Datetime {
        /// Since 1970-01-01T00:00:00Z.
        pub seconds: u64,
        /// Less than 1,000,000,000.
        pub nanoseconds: u32,
    }
}

impl From<Nanoseconds> for Datetime {
    fn from(time: Nanoseconds) -> Self {
        // Less than a second's, which fit.
        Self { seconds: time / SECOND, nanoseconds: u32::try_from(time % SECOND).unwrap_or_default() }
    }
}

impl Datetime {
    /// The same in nanoseconds.
    ///
    /// # Errors
    /// [`Error::Invalid`] for nanoseconds that make a second, [`Error::Overflow`] after the year 2554.
    pub fn nanoseconds(self) -> Result<Nanoseconds> {
        let nanoseconds = Nanoseconds::from(self.nanoseconds);
        if nanoseconds >= SECOND {
            return Err(Error::Invalid);
        }
        let seconds = self.seconds.checked_mul(SECOND);
        seconds.and_then(|seconds| seconds.checked_add(nanoseconds)).ok_or(Error::Overflow)
    }
}

pub fn register(linker: &mut Interfaces) {
    let mut monotonic = interface(linker, "wasi:clocks/monotonic-clock");
    offer::<Pollable>(&mut monotonic);
    monotonic
        .func("now", monotonic_now)
        .func("resolution", monotonic_resolution)
        .func("subscribe-instant", subscribe_instant)
        .func("subscribe-duration", subscribe_duration);
    interface(linker, "wasi:clocks/wall-clock").func("now", wall_now).func("resolution", wall_resolution);
}

/// The monotonic clock's time.
pub fn monotonic_now(call: &mut Preview2<'_>, (): &()) -> Polled<Nanoseconds> {
    Poll::Ready(Ok(call.data.state.clock.monotonic()))
}

/// The smallest step of the monotonic clock.
pub fn monotonic_resolution(call: &mut Preview2<'_>, (): &()) -> Polled<Nanoseconds> {
    Poll::Ready(Ok(call.data.state.clock.monotonic_resolution()))
}

/// A pollable for an instant of the monotonic clock.
pub fn subscribe_instant(call: &mut Preview2<'_>, &(instant,): &(Nanoseconds,)) -> Polled<Own<Pollable>> {
    let pollable = call.data.state.table.insert(Pollable::new(Source::Instant(instant)));
    Poll::Ready(Ok(Own::new(pollable.map_err(refused)?)))
}

/// A pollable for when this span has passed.
pub fn subscribe_duration(call: &mut Preview2<'_>, &(span,): &(Nanoseconds,)) -> Polled<Own<Pollable>> {
    let instant = call.data.state.clock.monotonic().saturating_add(span);
    subscribe_instant(call, &(instant,))
}

/// The wall clock's time; a trap on a machine that does not know it.
pub fn wall_now(call: &mut Preview2<'_>, (): &()) -> Polled<Datetime> {
    Poll::Ready(Ok(call.data.state.clock.wall().map_err(failed)?.into()))
}

/// The smallest step of the wall clock.
pub fn wall_resolution(call: &mut Preview2<'_>, (): &()) -> Polled<Datetime> {
    Poll::Ready(Ok(call.data.state.clock.wall_resolution().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview2::testing::*;

    #[test]
    fn each_clock_tells_its_own_time() {
        let mut guest = guest();
        assert_eq!(guest.call(monotonic_now, ()), 1_000);
        assert_eq!(guest.call(monotonic_resolution, ()), 1);
        assert_eq!(guest.call(wall_now, ()), Datetime { seconds: 1_000_000_000, nanoseconds: 0 });
        assert_eq!(guest.call(wall_resolution, ()), Datetime { seconds: 0, nanoseconds: 1 });
    }

    #[test]
    fn a_time_of_day_is_nanoseconds_and_back() {
        for time in [0, 1, SECOND - 1, SECOND, u64::MAX] {
            assert_eq!(Datetime::from(time).nanoseconds(), Ok(time));
        }
        let invalid = Datetime { seconds: 0, nanoseconds: 1_000_000_000 };
        assert_eq!(invalid.nanoseconds(), Err(Error::Invalid));
        let mut late = Datetime::from(u64::MAX);
        late.nanoseconds += 1;
        assert_eq!(late.nanoseconds(), Err(Error::Overflow));
        assert_eq!(Datetime { seconds: u64::MAX, nanoseconds: 0 }.nanoseconds(), Err(Error::Overflow));
    }
}
