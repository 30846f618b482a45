//! Time: the trait by which a machine tells it, and the queue of those who wait for it.

use crate::{Result, types::Nanoseconds};
use alloc::{collections::BTreeMap, sync::Arc};
use core::{
    future::poll_fn,
    task::{Context, Poll, Waker},
};
use spin::Mutex;

/// A machine's clocks.
pub trait Clock: Send + Sync {
    /// The monotonic clock: never goes back, starts anywhere.
    fn monotonic(&self) -> Nanoseconds;
    /// The smallest step of the monotonic clock; at least 1.
    fn monotonic_resolution(&self) -> Nanoseconds;
    /// The wall clock: nanoseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`Error::NoDevice`](crate::Error::NoDevice) on a machine that does not know the date.
    fn wall(&self) -> Result<Nanoseconds>;
    /// The smallest step of the wall clock; at least 1.
    fn wall_resolution(&self) -> Nanoseconds;
    /// Who waits for the monotonic clock. The machine fires it (see [`TimerQueue::fire`]) when its earliest deadline
    /// has come.
    fn timers(&self) -> &Arc<TimerQueue>;
}

/// Wakers by deadline on the monotonic clock.
///
/// The machine arms its one timer for [`next_deadline`](Self::next_deadline) whenever that becomes earlier (the
/// function given to [`new`](Self::new) is told), and calls [`fire`](Self::fire) when it rings.
pub struct TimerQueue {
    queue: Mutex<Queue>,
    rearm: fn(Nanoseconds),
}

#[derive(Default)]
struct Queue {
    waiting: BTreeMap<(Nanoseconds, u64), Waker>,
    next_id: u64,
}

impl TimerQueue {
    /// An empty queue; `rearm` is called, outside of the queue's lock, with a deadline that is now the earliest.
    pub const fn new(rearm: fn(Nanoseconds)) -> Self {
        Self { queue: Mutex::new(Queue { waiting: BTreeMap::new(), next_id: 0 }), rearm }
    }

    /// The earliest deadline that somebody waits for.
    pub fn next_deadline(&self) -> Option<Nanoseconds> {
        self.queue.lock().waiting.keys().next().map(|&(deadline, _)| deadline)
    }

    /// Wakes all whose deadline is not after `now`.
    pub fn fire(&self, now: Nanoseconds) {
        loop {
            let mut queue = self.queue.lock();
            let Some(entry) = queue.waiting.first_entry() else { return };
            if entry.key().0 > now {
                return;
            }
            let waker = entry.remove();
            drop(queue);
            waker.wake();
        }
    }

    fn insert(&self, deadline: Nanoseconds, waker: Waker) -> u64 {
        let mut queue = self.queue.lock();
        let id = queue.next_id;
        queue.next_id = id.wrapping_add(1);
        let earliest = queue.waiting.keys().next().is_none_or(|&(first, _)| deadline < first);
        queue.waiting.insert((deadline, id), waker);
        drop(queue);
        if earliest {
            (self.rearm)(deadline);
        }
        id
    }

    fn remove(&self, deadline: Nanoseconds, id: u64) {
        let removed = self.queue.lock().waiting.remove(&(deadline, id));
        drop(removed);
    }
}

/// One waiter's place in a [`TimerQueue`]: at most one deadline at a time; dropping it gives the place up, so a
/// guest that waits again and again leaves nothing behind.
pub struct Timer {
    queue: Arc<TimerQueue>,
    armed: Option<(Nanoseconds, u64)>,
}

impl Timer {
    /// A timer that is not armed.
    pub fn new(queue: Arc<TimerQueue>) -> Self {
        Self { queue, armed: None }
    }

    /// Wakes `waker` at `deadline` (monotonic clock) instead of what was set before.
    pub fn set(&mut self, deadline: Nanoseconds, waker: Waker) {
        self.clear();
        let id = self.queue.insert(deadline, waker);
        self.armed = Some((deadline, id));
    }

    /// Wakes nobody any more.
    pub fn clear(&mut self) {
        if let Some((deadline, id)) = self.armed.take() {
            self.queue.remove(deadline, id);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What `poll` gives, if it does so within `patience`.
pub async fn within<T>(
    clock: &Arc<dyn Clock>,
    patience: Nanoseconds,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let deadline = clock.monotonic().saturating_add(patience);
    let mut timer = Timer::new(clock.timers().clone());
    poll_fn(|task| {
        if let Poll::Ready(value) = poll(task) {
            return Poll::Ready(Some(value));
        }
        if clock.monotonic() >= deadline {
            return Poll::Ready(None);
        }
        timer.set(deadline, task.waker().clone());
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{task::Wake, vec::Vec};
    use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waiters<const N: usize>() -> [Arc<Wakes>; N] {
        core::array::from_fn(|_| Arc::new(Wakes::default()))
    }

    fn counts(waiters: &[Arc<Wakes>]) -> Vec<usize> {
        waiters.iter().map(|wakes| wakes.0.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn those_whose_time_has_come_are_woken_once() {
        let queue = Arc::new(TimerQueue::new(|_| {}));
        let wakes = waiters::<4>();
        // Two for the same instant: neither hides the other.
        let mut timers = [30, 10, 20, 20].map(|deadline| (deadline, Timer::new(queue.clone())));
        for ((deadline, timer), wakes) in timers.iter_mut().zip(&wakes) {
            timer.set(*deadline, wakes.clone().into());
        }
        assert_eq!(queue.next_deadline(), Some(10));
        queue.fire(9);
        assert_eq!(counts(&wakes), [0, 0, 0, 0]);
        queue.fire(20);
        queue.fire(20);
        assert_eq!(counts(&wakes), [0, 1, 1, 1]);
        assert_eq!(queue.next_deadline(), Some(30));
        queue.fire(u64::MAX);
        assert_eq!(counts(&wakes), [1, 1, 1, 1]);
        assert_eq!(queue.next_deadline(), None);
    }

    #[test]
    fn a_timer_has_one_place_and_gives_it_up() {
        let queue = Arc::new(TimerQueue::new(|_| {}));
        let wakes = waiters::<2>();
        let mut timer = Timer::new(queue.clone());
        timer.set(10, wakes[0].clone().into());
        timer.set(20, wakes[1].clone().into());
        queue.fire(15);
        assert_eq!(counts(&wakes), [0, 0]);
        assert_eq!(queue.next_deadline(), Some(20));
        timer.clear();
        assert_eq!(queue.next_deadline(), None);
        timer.set(30, wakes[0].clone().into());
        drop(timer);
        assert_eq!(queue.next_deadline(), None);
        queue.fire(u64::MAX);
        assert_eq!(counts(&wakes), [0, 0]);
        assert_eq!(Arc::strong_count(&wakes[0]), 1);
    }

    #[test]
    fn the_machine_is_told_when_a_deadline_is_the_earliest() {
        static TOLD: AtomicU64 = AtomicU64::new(0);
        let queue = Arc::new(TimerQueue::new(|deadline| TOLD.store(deadline, Ordering::Relaxed)));
        let mut timers = Vec::new();
        for (deadline, told) in [(50, 50), (60, 50), (40, 40), (40, 40), (39, 39)] {
            let mut timer = Timer::new(queue.clone());
            timer.set(deadline, Waker::noop().clone());
            assert_eq!(TOLD.load(Ordering::Relaxed), told);
            timers.push(timer);
        }
    }
}
