//! A machine without time and chance, and an executor that lets no guest wait for nothing.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake},
};
use wasi::{
    Machine, Result,
    clocks::{Clock, TimerQueue},
    random::Entropy,
};

/// How often a guest may be polled: far more than the fuel that the harnesses give is good for.
const POLLS_MAX: u32 = 1_000_000;

/// Has the library ask for the heap's end as a kernel would, and never come to it: else it probes by allocating, which under
/// AddressSanitizer takes nine tenths of the time.
pub fn endless_heap() {
    wasi::heap::set_available(|| usize::MAX >> 1);
}

/// A clock that moves by a microsecond whenever it is looked at, and to the next deadline when all wait.
pub struct StepClock {
    now: AtomicU64,
    timers: Arc<TimerQueue>,
}

impl StepClock {
    /// A clock that has just begun.
    pub fn new() -> Arc<Self> {
        endless_heap();
        Arc::new(Self { now: AtomicU64::new(1), timers: Arc::new(TimerQueue::new(|_| {})) })
    }

    /// Moves it to `now`, if that is later.
    pub fn advance_to(&self, now: u64) {
        self.now.fetch_max(now, Ordering::Relaxed);
    }
}

impl Clock for StepClock {
    fn monotonic(&self) -> u64 {
        self.now.fetch_add(1_000, Ordering::Relaxed)
    }

    fn monotonic_resolution(&self) -> u64 {
        1
    }

    fn wall(&self) -> Result<u64> {
        Ok(1_700_000_000_000_000_000 + self.now.load(Ordering::Relaxed))
    }

    fn wall_resolution(&self) -> u64 {
        1
    }

    fn timers(&self) -> &Arc<TimerQueue> {
        &self.timers
    }
}

struct Fours;

impl Entropy for Fours {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        buffer.fill(4);
        Ok(())
    }
}

/// A machine on `clock`, with memories on the heap.
pub fn machine(clock: Arc<StepClock>) -> Machine {
    Machine { clock, entropy: Arc::new(Fours), memories: None }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a guest to its end.
///
/// # Panics
/// When it waits and nobody would wake it, and when it does not end.
pub fn run<T>(clock: &StepClock, guest: impl Future<Output = T>) -> T {
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = flag.clone().into();
    let mut guest = pin!(guest);
    for _ in 0..POLLS_MAX {
        if flag.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(result) = guest.as_mut().poll(&mut Context::from_waker(&waker)) {
                return result;
            }
        } else {
            let next = clock.timers.next_deadline().expect("the guest waits, and nobody would wake it");
            clock.advance_to(next);
            clock.timers.fire(next);
        }
    }
    panic!("the guest was polled {POLLS_MAX} times and has not ended");
}
