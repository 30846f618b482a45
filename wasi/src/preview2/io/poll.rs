//! `wasi:io/poll`: waiting for any of many.
//!
//! Each pollable that was looked at and is not ready has a waker of its own at what it waits for, and keeps it from poll to poll. A
//! waker that fires puts its pollable on a list. So a poll looks once at each of its pollables, at most of them without asking what
//! they wait for; and while it waits, only at those whose wakers have fired.

use super::{Input, Output};
use crate::{
    clocks::{Clock, Timer},
    heap,
    preview2::{Interfaces, Polled, Preview2, State, interface, offer, refused, table::Table},
    types::Nanoseconds,
};
use alloc::{sync::Arc, task::Wake, vec::Vec};
use component::{Borrow, Trap};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
};
use spin::Mutex;

/// The resource `pollable`.
pub struct Pollable {
    source: Source,
    signal: Option<Arc<Signal>>,
    timer: Option<Timer>,
    /// The number of the last poll that had it in its list.
    listed: u64,
}

/// What a pollable waits for.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// An instant of the monotonic clock.
    Instant(Nanoseconds),
    /// An input stream, by its representation: until it can be read.
    Input(u32),
    /// An output stream, by its representation: until it can be written.
    Output(u32),
}

impl Pollable {
    /// A pollable that nobody has looked at.
    pub const fn new(source: Source) -> Self {
        Self { source, signal: None, timer: None, listed: 0 }
    }
}

impl Drop for Pollable {
    fn drop(&mut self) {
        // What it waits for may keep the waker for long.
        if let Some(signal) = &self.signal {
            signal.armed.store(false, Ordering::Release);
        }
    }
}

/// The waker of a pollable.
struct Signal {
    pollable: u32,
    /// It is registered and has not fired: so the pollable is not ready.
    armed: AtomicBool,
    fired: Arc<Mutex<Fired>>,
}

/// What wakers have to say to the poll that waits.
#[derive(Default)]
struct Fired {
    /// The pollables whose wakers have fired, perhaps with some that are gone. No longer than there were pollables when it was last
    /// emptied, which was before the first of their wakers was armed: so there is room, and a waker allocates nothing.
    pollables: Vec<u32>,
    task: Option<Waker>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.armed.swap(false, Ordering::AcqRel) {
            let mut fired = self.fired.lock();
            fired.pollables.push(self.pollable);
            let task = fired.task.clone();
            drop(fired);
            // Not under the lock: it may run the task.
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

/// What a guest's polls share.
#[derive(Default)]
pub struct Poller {
    fired: Arc<Mutex<Fired>>,
    /// The number of the last poll.
    poll: u64,
}

/// From this many pollables on, a call takes long.
const LOOKED_THROUGH: usize = 1 << 6;

/// The most pollables in one call: as many as the largest table of handles has.
const LIST_MAX: usize = 1 << 20;

pub fn register(linker: &mut Interfaces) {
    let mut interface = interface(linker, "wasi:io/poll");
    offer::<Pollable>(&mut interface);
    interface.func("[method]pollable.ready", ready).func("[method]pollable.block", block).func("poll", poll);
}

/// Whether a pollable is ready.
pub fn ready(call: &mut Preview2<'_>, (pollable,): &(Borrow<Pollable>,)) -> Polled<bool> {
    let mut look = Look::new(&mut call.data.state);
    look.begin(None)?;
    Poll::Ready(look.is_ready(pollable.rep).map_err(Into::into))
}

/// Waits until a pollable is ready.
pub fn block(call: &mut Preview2<'_>, (pollable,): &(Borrow<Pollable>,)) -> Polled<()> {
    wait(call, &[*pollable]).map_ok(|_| ())
}

/// Waits until any of the pollables is ready, and gives the indices of those that are.
pub fn poll(call: &mut Preview2<'_>, (list,): &(Vec<Borrow<Pollable>>,)) -> Polled<Vec<u32>> {
    wait(call, list)
}

fn wait(call: &mut Preview2<'_>, list: &[Borrow<Pollable>]) -> Polled<Vec<u32>> {
    if list.is_empty() {
        return Poll::Ready(Err(Trap::Host("poll of no pollable, which would never end".into()).into()));
    }
    if list.len() > LIST_MAX {
        return Poll::Ready(Err(Trap::Limit("pollables in one poll").into()));
    }
    let mut look = Look::new(&mut call.data.state);
    if !call.repeated {
        look.begin(Some(&call.task))?;
        look.list(list)?;
    } else if !look.has_fired(&call.task)? {
        return Poll::Pending;
    }
    let ready = look.all(list)?;
    if list.len() > LOOKED_THROUGH {
        // If so, the guest's turn ends behind this call.
        call.data.turn.ends_here();
    }
    if ready.is_empty() {
        return Poll::Pending;
    }
    call.data.state.poller.fired.lock().task = None;
    Poll::Ready(Ok(ready))
}

/// A look at pollables, all at the same time.
struct Look<'s> {
    table: &'s mut Table,
    poller: &'s mut Poller,
    clock: &'s Arc<dyn Clock>,
    now: Option<Nanoseconds>,
}

impl<'s> Look<'s> {
    fn new(state: &'s mut State) -> Self {
        Self { table: &mut state.table, poller: &mut state.poller, clock: &state.clock, now: None }
    }

    /// Before pollables are looked at for the first time in a call. From now on, their wakers wake the task.
    fn begin(&mut self, task: Option<&Context<'_>>) -> Result<(), Trap> {
        let mut fired = self.poller.fired.lock();
        fired.pollables.clear();
        heap::reserve(&mut fired.pollables, self.table.len()).map_err(refused)?;
        fired.task = task.map(|task| task.waker().clone());
        Ok(())
    }

    /// Marks pollables as those of a new poll.
    fn list(&mut self, list: &[Borrow<Pollable>]) -> Result<(), Trap> {
        self.poller.poll = self.poller.poll.wrapping_add(1);
        for pollable in list {
            self.table.get_mut::<Pollable>(pollable.rep)?.listed = self.poller.poll;
        }
        Ok(())
    }

    /// Whether any pollable of the current poll is ready, of those whose wakers have fired.
    fn has_fired(&mut self, task: &Context<'_>) -> Result<bool, Trap> {
        let fired = self.poller.fired.clone();
        let mut next = {
            let mut fired = fired.lock();
            match &mut fired.task {
                Some(waker) => waker.clone_from(task.waker()),
                none => *none = Some(task.waker().clone()),
            }
            fired.pollables.pop()
        };
        while let Some(rep) = next {
            let listed =
                self.table.get::<Pollable>(rep).is_ok_and(|pollable| pollable.listed == self.poller.poll);
            if listed && self.is_ready(rep)? {
                return Ok(true);
            }
            next = fired.lock().pollables.pop();
        }
        Ok(false)
    }

    /// The indices of those that are ready.
    fn all(&mut self, list: &[Borrow<Pollable>]) -> Result<Vec<u32>, Trap> {
        let mut ready = Vec::new();
        for (index, pollable) in (0..).zip(list) {
            if self.is_ready(pollable.rep)? {
                heap::reserve(&mut ready, 1).map_err(refused)?;
                ready.push(index);
            }
        }
        Ok(ready)
    }

    /// Whether a pollable is ready; if not, its waker is armed.
    fn is_ready(&mut self, rep: u32) -> Result<bool, Trap> {
        let pollable = self.table.get_mut::<Pollable>(rep)?;
        let armed = pollable.signal.as_ref().is_some_and(|signal| signal.armed.load(Ordering::Acquire));
        let source = pollable.source;
        if let Source::Instant(deadline) = source {
            if deadline <= *self.now.get_or_insert_with(|| self.clock.monotonic()) {
                pollable.timer = None;
                return Ok(true);
            }
            if !armed {
                let waker = arm(pollable, rep, &self.poller.fired);
                let timer = pollable.timer.get_or_insert_with(|| Timer::new(self.clock.timers().clone()));
                timer.set(deadline, waker);
            }
            return Ok(false);
        }
        if armed && !self.is_closed(source)? {
            return Ok(false);
        }
        let waker = arm(self.table.get_mut(rep)?, rep, &self.poller.fired);
        let task = &mut Context::from_waker(&waker);
        let polled = match source {
            Source::Input(stream) => self.table.get_mut::<Input>(stream)?.poll_ready(task),
            Source::Output(stream) => self.table.get_mut::<Output>(stream)?.poll_ready(task),
            Source::Instant(_) => Poll::Ready(()),
        };
        if polled.is_ready()
            && let Some(signal) = &self.table.get::<Pollable>(rep)?.signal
        {
            signal.armed.store(false, Ordering::Release);
        }
        Ok(polled.is_ready())
    }

    /// Whether a stream has failed, which is an event that wakes nobody: the guest knows of it.
    fn is_closed(&self, source: Source) -> Result<bool, Trap> {
        match source {
            Source::Input(stream) => self.table.get::<Input>(stream).map(Input::is_closed),
            Source::Output(stream) => self.table.get::<Output>(stream).map(Output::is_closed),
            Source::Instant(_) => Ok(false),
        }
    }
}

/// The waker of a pollable, for the next event.
fn arm(pollable: &mut Pollable, rep: u32, fired: &Arc<Mutex<Fired>>) -> Waker {
    let signal = pollable.signal.get_or_insert_with(|| {
        Arc::new(Signal { pollable: rep, armed: AtomicBool::new(false), fired: fired.clone() })
    });
    signal.armed.store(true, Ordering::Release);
    signal.clone().into()
}
