//! The driver: a guest is a future. It runs in slices of fuel, yields between them, waits where a host call waits, and
//! ends at its deadline. Dropping it frees all the guest had, wherever it was.

use crate::{
    call::{Exit, Parked, StoreData, poll_parked},
    clocks::{Clock, Timer},
    limits::{Limit, Limits},
    program::{growth::LARGEST_SLICE, table_grow},
    types::Nanoseconds,
};
use alloc::{
    boxed::Box,
    collections::VecDeque,
    string::{String, ToString},
    sync::Arc,
};
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use wasmi::{Func, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel, Store, TrapCode};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It called `proc_exit` with this status, or returned from `_start`: 0.
    Exited(u32),
    /// WebAssembly trapped: `unreachable`, an access out of bounds, a division by zero… Programs abort like this too.
    Trapped {
        /// What happened.
        message: String,
        /// A limit that had refused the program something before: likely the cause.
        after: Option<Limit>,
    },
    /// A limit ended it.
    LimitReached(Limit),
}

impl Outcome {
    /// Whether it exited with status 0.
    pub fn success(&self) -> bool {
        *self == Self::Exited(0)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "the program exited with status {status}"),
            Self::Trapped { message, after: None } => write!(f, "the program trapped: {message}"),
            Self::Trapped { message, after: Some(limit) } => {
                write!(f, "the program trapped: {message} (it had come up against {limit}, likely the cause)")
            }
            Self::LimitReached(limit) => write!(f, "the program was ended: it reached {limit}"),
        }
    }
}

/// How long a slice should take: short enough that others and the deadline wait little, long enough that the
/// change costs nothing.
const SLICE: Duration = Duration::from_millis(2);
/// When the next host call ends a turn that has fuel left: those calls take long.
const TURN: Duration = Duration::from_millis(4);
/// The first slice's fuel: below [`SLICE`] on any machine.
const FIRST_SLICE: u64 = 100_000;
const SMALLEST_SLICE: u64 = 1_000;

/// How much fuel a slice gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slices {
    /// As much as fits the time that a slice should take: fuel is not time (one unit may be an addition or a
    /// megabyte filled), so the clock decides.
    Adaptive(u64),
    /// Always this: the tests preempt at every possible place.
    Fixed(u64),
}

impl Default for Slices {
    fn default() -> Self {
        Self::Adaptive(FIRST_SLICE)
    }
}

impl Slices {
    fn fuel(self) -> u64 {
        let (Self::Adaptive(fuel) | Self::Fixed(fuel)) = self;
        fuel
    }

    /// Learns that `fuel` took `time`.
    fn learn(&mut self, fuel: u64, time: Nanoseconds) {
        if let Self::Adaptive(slice) = self {
            let target = SLICE.as_nanos() as u64;
            let fitting = fuel.saturating_mul(target).checked_div(time.max(1)).unwrap_or(LARGEST_SLICE);
            // Not too far at once: one slice says little of the next.
            let nearby = fitting.clamp(*slice / 4, slice.saturating_mul(4));
            *slice = nearby.clamp(SMALLEST_SLICE, LARGEST_SLICE);
        }
    }
}

/// A guest that runs: poll it to its [`Outcome`]. It starts when it is first polled.
pub(crate) struct Guest<S: 'static> {
    /// Gone when the guest has ended: its memory, its descriptors and its ends of pipes are free at once.
    live: Option<Box<Live<S>>>,
    fuel_used: u64,
}

struct Live<S: 'static> {
    step: Step,
    store: Store<StoreData<S>>,
    /// The functions that are still to be called, in order.
    entries: VecDeque<Func>,
    clock: Arc<dyn Clock>,
    deadline: Deadline,
    fuel_limit: Option<u64>,
    slices: Slices,
}

/// Where the guest is.
enum Step {
    /// Between two entry functions.
    Next,
    /// Out of fuel, and how much it needs to go on.
    Sliced(ResumableCallOutOfFuel, u64),
    /// In a host call that waits.
    Parked(ResumableCallHostTrap),
}

struct Deadline {
    limit: Option<Duration>,
    /// Set by the first poll.
    at: Option<Nanoseconds>,
    timer: Timer,
    /// Whom the timer wakes.
    armed: Option<Waker>,
}

impl<S: Send + 'static> Guest<S> {
    /// A guest that will call `entries`, one after the other.
    pub(crate) fn new(
        store: Store<StoreData<S>>,
        entries: VecDeque<Func>,
        clock: Arc<dyn Clock>,
        limits: &Limits,
        slices: Slices,
    ) -> Self {
        let timer = Timer::new(clock.timers().clone());
        let deadline = Deadline { limit: limits.time, at: None, timer, armed: None };
        let fuel_limit = limits.fuel;
        let live = Live { step: Step::Next, store, entries, clock, deadline, fuel_limit, slices };
        Self { live: Some(Box::new(live)), fuel_used: 0 }
    }

    /// Fuel that it has used so far.
    pub(crate) fn fuel_used(&self) -> u64 {
        self.fuel_used
    }
}

impl<S: Send + 'static> Future for Guest<S> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        let Some(live) = &mut this.live else { return Poll::Pending };
        let polled = live.poll(task, &mut this.fuel_used);
        if polled.is_ready() {
            this.live = None;
        }
        polled
    }
}

impl<S: Send + 'static> Live<S> {
    fn poll(&mut self, task: &mut Context<'_>, fuel_used: &mut u64) -> Poll<Outcome> {
        let start = self.clock.monotonic();
        if self.deadline.passed(start) {
            return Poll::Ready(Outcome::LimitReached(Limit::Time(self.deadline.limit.unwrap_or_default())));
        }
        let data = self.store.data_mut();
        data.set_waker(task.waker());
        data.turn.begin(&self.clock, start.saturating_add(TURN.as_nanos() as Nanoseconds));
        loop {
            // Parked: the call is made again, and until it is ready nothing else happens.
            let mut step = core::mem::replace(&mut self.step, Step::Next);
            let mut results = None;
            let mut needed = 0;
            match &mut step {
                Step::Parked(_) => match poll_parked(&mut self.store, task) {
                    Poll::Ready(Ok(value)) => results = value,
                    Poll::Ready(Err(error)) => return Poll::Ready(self.end(error)),
                    Poll::Pending => {
                        self.step = step;
                        self.deadline.arm(task.waker());
                        return Poll::Pending;
                    }
                },
                Step::Sliced(_, fuel) => needed = *fuel,
                Step::Next => {}
            }

            // At least what the next instruction asks for: some (filling, growing) cost much at once.
            let left = self.fuel_limit.map_or(u64::MAX, |limit| limit.saturating_sub(*fuel_used));
            if let Some(limit) = self.fuel_limit
                && needed > left
            {
                return Poll::Ready(Outcome::LimitReached(Limit::Fuel(limit)));
            }
            let slice = self.slices.fuel().max(needed).min(left);
            let ran = self.store.set_fuel(slice).and_then(|()| match step {
                Step::Sliced(call, _) => call.resume(&mut self.store, &mut []),
                Step::Parked(call) => call.resume(&mut self.store, results.as_slice(), &mut []),
                Step::Next => match self.entries.pop_front() {
                    Some(entry) => entry.call_resumable(&mut self.store, &[], &mut []),
                    None => Err(wasmi::Error::host(Exit(0))),
                },
            });
            let left = self.store.get_fuel().unwrap_or(0);
            let unused = left.saturating_add(self.store.data_mut().turn.take_withheld());
            let used = slice.saturating_sub(unused);
            *fuel_used = fuel_used.saturating_add(used);

            match ran {
                Ok(ResumableCall::Finished) => {}
                Ok(ResumableCall::OutOfFuel(call)) => {
                    let now = self.clock.monotonic();
                    self.slices.learn(used.max(1), now.saturating_sub(start));
                    let mut needed = call.required_fuel();
                    if self.store.data_mut().limiter.take_interrupted_growth() {
                        // It will start again, and is charged for that once.
                        needed = needed.saturating_add(table_grow::AGAIN);
                        *fuel_used = fuel_used.saturating_sub(table_grow::AGAIN);
                    }
                    self.step = Step::Sliced(call, needed);
                    // The deadline is looked at when it is polled next, at once if nobody else runs.
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Ok(ResumableCall::HostTrap(call)) if call.host_error().downcast_ref::<Parked>().is_some() => {
                    self.step = Step::Parked(call);
                    self.deadline.arm(task.waker());
                    return Poll::Pending;
                }
                Ok(ResumableCall::HostTrap(call)) => return Poll::Ready(self.end(call.into_host_error())),
                Err(error) => return Poll::Ready(self.end(error)),
            }
        }
    }

    /// What an error that ends the guest means.
    fn end(&self, error: wasmi::Error) -> Outcome {
        if let Some(Exit(status)) = error.downcast_ref::<Exit>() {
            return Outcome::Exited(*status);
        }
        match error.as_trap_code() {
            Some(TrapCode::StackOverflow) => Outcome::LimitReached(Limit::Stack),
            Some(TrapCode::OutOfSystemMemory) => Outcome::LimitReached(Limit::MachineMemory),
            _ => Outcome::Trapped { message: error.to_string(), after: self.store.data().limiter.refused() },
        }
    }
}

impl Deadline {
    /// Whether it has come; the first call starts the time.
    fn passed(&mut self, now: Nanoseconds) -> bool {
        let Some(limit) = self.limit else { return false };
        let span = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        now >= *self.at.get_or_insert(now.saturating_add(span))
    }

    /// Makes the timer wake `waker` when it comes.
    fn arm(&mut self, waker: &Waker) {
        if let Some(at) = self.at
            && !self.armed.as_ref().is_some_and(|armed| armed.will_wake(waker))
        {
            self.timer.set(at, waker.clone());
            self.armed = Some(waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Nanoseconds = 1_000_000;

    #[test]
    fn slices_come_to_take_their_time_on_any_machine_and_with_any_program() {
        // Fuel per millisecond: of a slow emulator, of a fast processor, of a program that fills memory.
        for speed in [500, 20_000, 60_000] {
            let mut slices = Slices::default();
            for _ in 0..20 {
                let fuel = slices.fuel();
                slices.learn(fuel, fuel.saturating_mul(MILLISECOND) / speed);
            }
            let took = slices.fuel() * 1_000 / speed;
            assert!((1_000..=3_000).contains(&took), "{took} µs at {speed}");
        }
    }

    #[test]
    fn one_odd_slice_changes_little_and_none_goes_beyond_the_bounds() {
        let mut slices = Slices::default();
        slices.learn(1, u64::MAX);
        assert_eq!(slices.fuel(), FIRST_SLICE / 4);
        slices.learn(FIRST_SLICE, 0);
        assert_eq!(slices.fuel(), FIRST_SLICE);
        for _ in 0..100 {
            slices.learn(u64::MAX, 1);
        }
        assert_eq!(slices.fuel(), LARGEST_SLICE);
        for _ in 0..100 {
            slices.learn(0, u64::MAX);
        }
        assert_eq!(slices.fuel(), SMALLEST_SLICE);
        let mut fixed = Slices::Fixed(20);
        fixed.learn(20, 1);
        assert_eq!(fixed.fuel(), 20);
    }
}
