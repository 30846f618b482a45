//! The operating system's clocks, and a thread that wakes those who wait for them.

use crate::{
    Error, Result,
    clocks::{Clock, TimerQueue},
    types::Nanoseconds,
};
use alloc::sync::Arc;
use core::time::Duration;
use std::{
    sync::{Condvar, LazyLock, Mutex, PoisonError},
    thread,
    time::{Instant, SystemTime},
};

/// The operating system's clocks. There is one for the process: its queue of timers has one thread, which starts with
/// the first timer.
pub struct SystemClock;

struct Shared {
    /// The monotonic clock's zero.
    start: Instant,
    timers: Arc<TimerQueue>,
    /// Set when a deadline has become the earliest.
    rearmed: Mutex<bool>,
    wake: Condvar,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| Shared {
    start: Instant::now(),
    timers: Arc::new(TimerQueue::new(rearm)),
    rearmed: Mutex::new(false),
    wake: Condvar::new(),
});

/// Starts with the first timer.
static THREAD: LazyLock<()> = LazyLock::new(|| {
    // Without the thread no timer would fire; a system that cannot start one is beyond help.
    let started = thread::Builder::new().name("wasi-timers".into()).spawn(ring);
    if let Err(error) = started {
        log::error!("no thread for timers: {error}");
    }
});

fn rearm(_: Nanoseconds) {
    LazyLock::force(&THREAD);
    *SHARED.rearmed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    SHARED.wake.notify_one();
}

/// The thread: waits for the earliest deadline, and fires.
fn ring() {
    let mut rearmed = SHARED.rearmed.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        // What came since the last look is part of `next_deadline` now.
        *rearmed = false;
        drop(rearmed);
        let now = SystemClock.monotonic();
        SHARED.timers.fire(now);
        let next = SHARED.timers.next_deadline();
        rearmed = SHARED.rearmed.lock().unwrap_or_else(PoisonError::into_inner);
        if *rearmed {
            continue;
        }
        rearmed = match next {
            Some(deadline) => {
                let wait = Duration::from_nanos(deadline.saturating_sub(SystemClock.monotonic()));
                SHARED.wake.wait_timeout(rearmed, wait).unwrap_or_else(PoisonError::into_inner).0
            }
            None => SHARED.wake.wait(rearmed).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Nanoseconds {
        SHARED.start.elapsed().as_nanos() as Nanoseconds
    }

    fn monotonic_resolution(&self) -> Nanoseconds {
        1
    }

    fn wall(&self) -> Result<Nanoseconds> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Error::NoDevice)?;
        Nanoseconds::try_from(since.as_nanos()).map_err(|_| Error::Overflow)
    }

    fn wall_resolution(&self) -> Nanoseconds {
        1
    }

    fn timers(&self) -> &Arc<TimerQueue> {
        &SHARED.timers
    }
}
