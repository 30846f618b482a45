//! A guest's turn: fuel ends it as a rule, the clock where host calls take long without using any.
//!
//! Most calls are short, and a look at the clock costs as much as one of them. So it is looked at after every few
//! calls, after each one while they take long, and within a call that moves many bytes or lists many things: such a call
//! notes how far it has come and waits for the guest's next turn, and nobody else waits for it.

use crate::{clocks::Clock, types::Nanoseconds};
use alloc::sync::Arc;
use core::mem;

/// The most calls between two looks at the clock.
const CALLS_PER_LOOK: u32 = 8;
/// Calls that are this far apart are each followed by a look.
const LONG: Nanoseconds = 100_000;

/// How long a guest may go on. Without a clock, for as long as it has fuel.
#[derive(Default)]
pub(crate) struct Turn {
    clock: Option<Arc<dyn Clock>>,
    end: Nanoseconds,
    /// When the clock was last looked at.
    looked: Nanoseconds,
    /// Calls between that look and the next.
    interval: u32,
    /// How many of them are left, that one included.
    calls: u32,
    withheld: Option<u64>,
}

impl Turn {
    /// A turn that begins at `start`, by `clock`, and ends at `end`.
    pub(crate) fn begin(&mut self, clock: &Arc<dyn Clock>, start: Nanoseconds, end: Nanoseconds) {
        self.clock.get_or_insert_with(|| clock.clone());
        self.looked = start;
        self.end = end;
    }

    /// Asked after each host call.
    #[inline]
    pub(crate) fn is_over(&mut self) -> bool {
        if self.calls > 1 {
            self.calls -= 1;
            return false;
        }
        self.look_after_calls()
    }

    #[cold]
    fn look_after_calls(&mut self) -> bool {
        let Some(clock) = &self.clock else { return false };
        let now = clock.monotonic();
        let each = now.saturating_sub(self.looked) / Nanoseconds::from(self.interval.max(1));
        self.interval =
            if each >= LONG { 1 } else { self.interval.saturating_mul(2).clamp(1, CALLS_PER_LOOK) };
        self.looked = now;
        self.calls = self.interval;
        now >= self.end
    }

    /// Asked within a call, between two pieces of work. If it is over, the call should wait for the next turn; if the call is done
    /// nevertheless, [`is_over`](Self::is_over) will say the same.
    pub(crate) fn ends_here(&mut self) -> bool {
        let over = self.clock.as_ref().is_some_and(|clock| clock.monotonic() >= self.end);
        if over {
            self.calls = 0;
        }
        over
    }

    /// Keeps fuel that the guest has not used, so that it counts as such.
    pub(crate) fn withhold(&mut self, fuel: u64) {
        self.withheld = Some(self.withheld.unwrap_or(0).saturating_add(fuel));
    }

    /// The fuel that was kept, if it was a call that ended the turn.
    pub(crate) fn take_withheld(&mut self) -> Option<u64> {
        mem::take(&mut self.withheld)
    }
}
