//! A guest's turn: fuel ends it as a rule, the clock where host calls take long without using any.

use crate::{clocks::Clock, types::Nanoseconds};
use alloc::sync::Arc;
use core::mem;

/// One look at the clock per so many host calls: it costs about as much as a short call.
const CALLS_PER_LOOK: u32 = 8;

/// How long a guest may go on. Without a clock, for as long as it has fuel.
#[derive(Default)]
pub(crate) struct Turn {
    clock: Option<Arc<dyn Clock>>,
    end: Nanoseconds,
    calls: u32,
    withheld: u64,
}

impl Turn {
    /// The turn that ends, by `clock`, at `end`.
    pub(crate) fn begin(&mut self, clock: &Arc<dyn Clock>, end: Nanoseconds) {
        self.clock.get_or_insert_with(|| clock.clone());
        self.end = end;
    }

    /// Asked after each host call.
    #[inline]
    pub(crate) fn is_over(&mut self) -> bool {
        self.calls = self.calls.wrapping_add(1);
        self.calls.is_multiple_of(CALLS_PER_LOOK)
            && self.clock.as_ref().is_some_and(|clock| clock.monotonic() >= self.end)
    }

    /// Keeps fuel that the guest has not used, so that it counts as such.
    pub(crate) fn withhold(&mut self, fuel: u64) {
        self.withheld = self.withheld.saturating_add(fuel);
    }

    /// The fuel that was kept.
    pub(crate) fn take_withheld(&mut self) -> u64 {
        mem::take(&mut self.withheld)
    }
}
