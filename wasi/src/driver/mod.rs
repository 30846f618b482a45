//! The driver: a guest is a future. It runs in slices of fuel, yields between them, waits where a host call waits, and
//! ends at its deadline. Dropping it frees all the guest had, wherever it was.

mod entries;

pub(crate) use entries::Entries;

use crate::{
    StartError,
    call::{Exit, StoreData},
    clocks::{Clock, Timer},
    heap,
    limits::{Limit, Limits, Need},
    program::{NotStarted, growth::LARGEST_SLICE, resumable},
    types::Nanoseconds,
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    sync::Arc,
};
use core::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use wasmi::{Store, TrapCode};

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

/// How long a turn should take: short enough that others wait little and that a thousand of them all have turns within a
/// second, long enough that the change costs nothing.
const TURN: Duration = Duration::from_micros(500);
const TURN_NANOSECONDS: Nanoseconds = TURN.as_nanos() as Nanoseconds;
/// The first slice's fuel: below [`TURN`] on any machine.
const FIRST_SLICE: u64 = 20_000;
const SMALLEST_SLICE: u64 = 100;

/// How much fuel a slice gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slices {
    /// As much as fits the time that a turn should take: fuel is not time (one unit may be an addition or the
    /// call of a large function), so the clock decides.
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

    /// Whether it is the bound of a slice that keeps it shorter than a turn.
    fn at_most(self) -> bool {
        matches!(self, Self::Adaptive(LARGEST_SLICE))
    }

    /// Learns that `fuel` took `time`. Gives by how much it was longer than a turn, as far as fuel tells.
    fn learn(&mut self, fuel: u64, time: Nanoseconds) -> Nanoseconds {
        let before = self.fuel();
        if let Self::Adaptive(slice) = self {
            let fitting =
                fuel.saturating_mul(TURN_NANOSECONDS).checked_div(time.max(1)).unwrap_or(LARGEST_SLICE);
            // Not too far at once: one slice says little of the next.
            let nearby = fitting.clamp(*slice / 4, slice.saturating_mul(4));
            *slice = nearby.clamp(SMALLEST_SLICE, LARGEST_SLICE);
        }
        let fitting = self.fuel().max(before);
        fuel.saturating_sub(fitting).saturating_mul(TURN_NANOSECONDS).checked_div(fitting).unwrap_or(0)
    }
}

/// What a guest does, in a store of its own: the calls of a module's entry functions, the execution of a component.
pub(crate) trait Work<S: 'static>: Send {
    /// Begins or goes on, until it ends, waits, or the store has no fuel left.
    ///
    /// # Errors
    /// What ends the guest: [`Exit`], a trap, a host function's error.
    fn run(&mut self, store: &mut Store<StoreData<S>>, task: &mut Context<'_>) -> Result<Ran, wasmi::Error>;
}

/// How far [`Work`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// To the end, with this status.
    Ended(u32),
    /// Out of fuel; it needs at least this much to go on.
    OutOfFuel(u64),
    /// To a host call that waits.
    Waits,
}

/// A guest that runs, whatever it is: poll it to its [`Outcome`].
pub(crate) trait Running: Future<Output = Outcome> + Send + Unpin {
    /// Fuel that it has used so far.
    fn fuel_used(&self) -> u64;

    /// From now on, its end frees nothing.
    fn leave_all(&mut self);
}

/// A guest that runs: poll it to its [`Outcome`]. It starts when it is first polled.
pub(crate) struct Guest<S: 'static, W> {
    /// Gone when the guest has ended: its memory, its descriptors and its ends of pipes are free at once.
    live: Option<Box<Live<S, W>>>,
    /// Not even then: the machine ends with it.
    leaves_all: bool,
    fuel_used: u64,
}

struct Live<S: 'static, W> {
    work: W,
    /// The fuel that it needs to go on.
    needed: u64,
    store: Store<StoreData<S>>,
    clock: Arc<dyn Clock>,
    deadline: Deadline,
    fuel_limit: Option<u64>,
    slices: Slices,
    /// By how much its turns have been longer than [`TURN`]. What can be cut nowhere (one instruction may fill all
    /// tables there are) is paid for by turns that are left out, so that it does not take more of the processor than others.
    /// What takes fuel is counted by that and what a turn's fuel has come to be: a machine under a host that runs others
    /// too must not charge those their time.
    owed: Nanoseconds,
}

struct Deadline {
    limit: Option<Duration>,
    /// Set by the first poll.
    at: Option<Nanoseconds>,
    timer: Timer,
    /// Whom the timer wakes.
    armed: Option<Waker>,
}

impl<S: Send + 'static, W: Work<S>> Guest<S, W> {
    /// A guest that will do `work` in `store`.
    pub(crate) fn new(
        store: Store<StoreData<S>>,
        work: W,
        clock: Arc<dyn Clock>,
        limits: &Limits,
        slices: Slices,
    ) -> Self {
        let timer = Timer::new(clock.timers().clone());
        let deadline = Deadline { limit: limits.time, at: None, timer, armed: None };
        let fuel_limit = limits.fuel;
        let live = Live { work, needed: 0, store, clock, deadline, fuel_limit, slices, owed: 0 };
        Self { live: Some(Box::new(live)), leaves_all: false, fuel_used: 0 }
    }
}

impl<S: Send + 'static, W: Work<S>> Running for Guest<S, W> {
    fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    fn leave_all(&mut self) {
        self.leaves_all = true;
    }
}

// Nothing in it is pinned: it is all in a box.
impl<S: 'static, W> Unpin for Guest<S, W> {}

impl<S: Send + 'static, W: Work<S>> Future for Guest<S, W> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        let Some(live) = &mut this.live else { return Poll::Pending };
        let polled = live.poll(task, &mut this.fuel_used);
        if polled.is_ready() {
            let live = this.live.take();
            if this.leaves_all {
                mem::forget(live);
            }
        }
        polled
    }
}

impl<S: Send + 'static, W: Work<S>> Live<S, W> {
    fn poll(&mut self, task: &mut Context<'_>, fuel_used: &mut u64) -> Poll<Outcome> {
        let start = self.clock.monotonic();
        if self.deadline.passed(start) {
            return Poll::Ready(Outcome::LimitReached(Limit::Time(self.deadline.limit.unwrap_or_default())));
        }
        if let Some(rest) = self.owed.checked_sub(TURN_NANOSECONDS) {
            self.owed = rest;
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.run(task, start, fuel_used)
    }

    /// Runs it for a turn that begins at `start`.
    fn run(&mut self, task: &mut Context<'_>, start: Nanoseconds, fuel_used: &mut u64) -> Poll<Outcome> {
        if heap::check_turn().is_err() {
            return Poll::Ready(Outcome::LimitReached(Limit::MachineMemory(Need::Reserve)));
        }
        let data = self.store.data_mut();
        data.set_waker(task.waker());
        data.turn.begin(&self.clock, start, start.saturating_add(TURN_NANOSECONDS));
        let mut slice_start = start;
        loop {
            // At least what the next instruction asks for: some (filling, growing) cost much at once.
            let left = self.fuel_limit.map_or(u64::MAX, |limit| limit.saturating_sub(*fuel_used));
            if let Some(limit) = self.fuel_limit
                && self.needed > left
            {
                return Poll::Ready(Outcome::LimitReached(Limit::Fuel(limit)));
            }
            let slice = self.slices.fuel().max(self.needed).min(left);
            self.needed = 0;
            let set = self.store.set_fuel(slice);
            let ran = set.and_then(|()| self.work.run(&mut self.store, task));
            let left = self.store.get_fuel().unwrap_or(0);
            let withheld = self.store.data_mut().turn.take_withheld();
            let used = slice.saturating_sub(left.saturating_add(withheld.unwrap_or(0)));
            *fuel_used = fuel_used.saturating_add(used);

            match ran {
                Ok(Ran::Ended(status)) => return Poll::Ready(Outcome::Exited(status)),
                Ok(Ran::Waits) => {
                    self.deadline.arm(task.waker());
                    return Poll::Pending;
                }
                Ok(Ran::OutOfFuel(needed)) => {
                    let now = self.clock.monotonic();
                    let (took, slice_took) = (now.saturating_sub(start), now.saturating_sub(slice_start));
                    self.needed = needed;
                    if self.store.data_mut().limiter.take_interrupted_growth() {
                        // It will start again, and is charged for that once.
                        self.needed = needed.saturating_add(resumable::AGAIN);
                        *fuel_used = fuel_used.saturating_sub(resumable::AGAIN);
                    }
                    let beyond = match withheld {
                        // A call has ended the turn: its time says nothing of the fuel.
                        Some(_) => took.saturating_sub(TURN_NANOSECONDS),
                        // An instruction wants more than is left, and there is time.
                        None if used < slice / 2 && took < TURN_NANOSECONDS => continue,
                        // A slice has as much fuel as it may, and another one brings the turn nearer to its length.
                        None if self.slices.at_most()
                            && took.saturating_add(slice_took / 2) < TURN_NANOSECONDS =>
                        {
                            slice_start = now;
                            continue;
                        }
                        None => self.slices.learn(used.max(1), slice_took),
                    };
                    self.owed = self.owed.saturating_add(beyond);
                    // The deadline is looked at when it is polled next, at once if nobody else runs.
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(self.end(error)),
            }
        }
    }

    /// What an error that ends the guest means.
    fn end(&self, error: wasmi::Error) -> Outcome {
        if let Some(Exit(status)) = error.downcast_ref::<Exit>() {
            return Outcome::Exited(*status);
        }
        if let Some(NotStarted(error)) = error.downcast_ref::<NotStarted>() {
            return match error {
                StartError::Limit(limit) => Outcome::LimitReached(*limit),
                error => Outcome::Trapped { message: error.to_string(), after: None },
            };
        }
        match error.as_trap_code() {
            Some(TrapCode::StackOverflow) => Outcome::LimitReached(Limit::Stack),
            Some(TrapCode::OutOfSystemMemory) => Outcome::LimitReached(Limit::MachineMemory(Need::Stack)),
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
    use crate::{
        Command,
        io::pipe,
        runner::Run,
        testing::{machine, program},
    };
    use alloc::{format, task::Wake};
    use core::sync::atomic::{AtomicUsize, Ordering};

    const MILLISECOND: Nanoseconds = 1_000_000;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls a guest that goes on; how often its task is woken by that.
    fn poll(run: &mut Run, wakes: &Arc<Wakes>) -> usize {
        let before = wakes.0.load(Ordering::Relaxed);
        let waker = wakes.clone().into();
        assert!(Pin::new(run).poll(&mut Context::from_waker(&waker)).is_pending());
        wakes.0.load(Ordering::Relaxed) - before
    }

    #[test]
    fn the_deadline_wakes_whoever_polled_last_and_nobody_else() {
        let reads = r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\40\00\00\00\01\00\00\00")
            (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
        let (machine, _) = machine();
        let (reader, _writer) = pipe(1);
        let timers = machine.clock.timers();
        let mut run = program(reads).start(&machine, Command::new("t").stdin(Arc::new(reader))).unwrap();
        // A future may move from task to task while it waits.
        let tasks: [Arc<Wakes>; 3] = Default::default();
        for task in [0, 1, 1, 0, 2] {
            assert_eq!(poll(&mut run, &tasks[task]), 0, "it waits for its input");
        }
        timers.fire(timers.next_deadline().expect("it has a time limit"));
        assert_eq!(tasks.each_ref().map(|task| task.0.load(Ordering::Relaxed)), [0, 0, 1]);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn who_takes_longer_than_a_turn_leaves_turns_out() {
        // How many of a hundred turns a guest that does this for ever uses, when each look at the clock takes so long.
        let used = |body: &str, slice: Option<u64>, tick| {
            let (machine, clock) = machine();
            clock.tick.store(tick, Ordering::Relaxed);
            let command = Command::new("t").limits(Limits::default().with_time(None));
            let command = slice.into_iter().fold(command, Command::slice_fuel);
            let wat = format!(
                r#"(module
                (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
                (memory (export "memory") 1)
                (table 160000 funcref)
                (func (export "_start") (loop $again {body} (br $again))))"#
            );
            let mut run = program(&wat).start(&machine, command).unwrap();
            let wakes = Arc::new(Wakes::default());
            let runs = (0..100).filter(|_| {
                let before = run.fuel_used();
                assert_eq!(poll(&mut run, &wakes), 1, "it always wants to go on");
                run.fuel_used() > before
            });
            runs.count()
        };
        assert_eq!(used("", None, 1_000), 100);
        // The time of others, if the host runs some.
        assert_eq!(used("", None, 100 * TURN_NANOSECONDS), 100);
        // A unit of fuel for 16 elements: an instruction of ten turns.
        let fill = "(table.fill (i32.const 0) (ref.null func) (i32.const 160000))";
        assert!((10..=11).contains(&used(fill, Some(1_000), 1_000)));
        // Three looks, in the call, behind it and at the end: six turns.
        let call = "(drop (call $now (i32.const 1) (i64.const 0) (i32.const 0)))";
        assert!((16..=17).contains(&used(call, None, 2 * TURN_NANOSECONDS)));
    }

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
            assert!((250..=750).contains(&took), "{took} µs at {speed}");
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
