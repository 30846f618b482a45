//! `wasi:io/poll`: waiting for any of many.
//!
//! What pollables wait for ([`Watch`]) has a waker, one for all the pollables of a resource, registered when it was asked and was not
//! ready, and kept from poll to poll. When the waker fires, that goes on a list. So a poll looks once at each of its pollables, at most
//! of them without asking what they wait for; and while it waits, only at those whose wakers have fired.

use crate::{
    clocks::{Clock, Timer},
    heap,
    preview2::{Interfaces, Polled, Preview2, State, interface, offer, refused, table::Table},
    turn::Turn,
    types::Nanoseconds,
};
use alloc::{sync::Arc, task::Wake, vec::Vec};
use component::{Borrow, Trap};
use core::{
    mem,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    task::{Context, Poll, Waker},
};
use spin::Mutex;

/// The resource `pollable`.
pub struct Pollable {
    source: Source,
    /// Of an instant; a resource has its own.
    watch: Watch,
    timer: Option<Timer>,
}

/// What a pollable waits for.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// An instant of the monotonic clock.
    Instant(Nanoseconds),
    /// A resource that is [watched](Watched), by its representation: until something can be done with it.
    Resource(u32),
}

impl Pollable {
    /// A pollable that nobody has looked at.
    pub fn new(source: Source) -> Self {
        Self { source, watch: Watch::default(), timer: None }
    }
}

/// How an instant or a resource is waited for.
#[derive(Default)]
pub struct Watch {
    signal: Option<Arc<Signal>>,
    /// The number of the last poll that had it in its list.
    listed: u64,
}

impl Watch {
    /// Whether its waker is registered and has not fired: so it is not ready.
    fn is_armed(&self) -> bool {
        self.signal.as_ref().is_some_and(|signal| signal.armed.load(Ordering::Acquire))
    }

    /// Notes that a pollable of the poll `number` waits for it.
    fn list(&mut self, number: u64, pollable: u32) {
        self.listed = number;
        if let Some(signal) = &self.signal {
            signal.pollable.store(pollable, Ordering::Relaxed);
        }
    }

    /// The waker, for the next event.
    fn arm(&mut self, pollable: u32, fired: &Arc<Mutex<Fired>>) -> Waker {
        let signal = self.signal.get_or_insert_with(|| {
            Arc::new(Signal {
                pollable: AtomicU32::new(pollable),
                armed: AtomicBool::new(false),
                fired: fired.clone(),
            })
        });
        signal.armed.store(true, Ordering::Release);
        signal.clone().into()
    }

    /// It is ready after all.
    fn disarm(&self) {
        if let Some(signal) = &self.signal {
            signal.armed.store(false, Ordering::Release);
        }
    }
}

/// The waker of a [`Watch`].
struct Signal {
    /// A pollable that waits for it, of the last poll that had any.
    pollable: AtomicU32,
    armed: AtomicBool,
    fired: Arc<Mutex<Fired>>,
}

/// What wakers have to say to the poll that waits.
#[derive(Default)]
struct Fired {
    /// Pollables for which a waker has fired, perhaps with some that are gone. No longer than there were pollables when it was last
    /// emptied, which was before the first waker was armed: so there is room, and a waker allocates nothing.
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
            fired.pollables.push(self.pollable.load(Ordering::Relaxed));
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
    number: u64,
    /// How far the poll has come with looking at its list; none while it waits.
    looked: Option<usize>,
    /// The indices of those that are ready, as far as it has come.
    ready: Vec<u32>,
}

#[cfg(test)]
impl Poller {
    /// How many wakers have fired since somebody looked.
    pub fn fired(&self) -> usize {
        self.fired.lock().pollables.len()
    }
}

/// After this many pollables it is asked whether others should have their turn.
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
        look.poller.number = look.poller.number.wrapping_add(1);
        look.again();
    } else if look.has_fired(&call.task)? {
        look.again();
    }
    if !look.through(list, &mut call.data.turn)? {
        call.task.waker().wake_by_ref();
        return Poll::Pending;
    }
    let ready = mem::take(&mut look.poller.ready);
    if ready.is_empty() {
        return Poll::Pending;
    }
    look.poller.fired.lock().task = None;
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
        // What the handles of stdio share is there without any handle.
        heap::reserve(&mut fired.pollables, self.table.len().saturating_add(3)).map_err(refused)?;
        fired.task = task.map(|task| task.waker().clone());
        Ok(())
    }

    /// Looks at the list from its start.
    fn again(&mut self) {
        self.poller.looked = Some(0);
        self.poller.ready.clear();
    }

    /// Whether any pollable of the current poll is ready, of those whose wakers have fired. Not asked before the whole list was
    /// looked at.
    fn has_fired(&mut self, task: &Context<'_>) -> Result<bool, Trap> {
        let fired = self.poller.fired.clone();
        match &mut fired.lock().task {
            Some(waker) => waker.clone_from(task.waker()),
            none => *none = Some(task.waker().clone()),
        }
        if self.poller.looked.is_some() {
            return Ok(false);
        }
        loop {
            let Some(rep) = fired.lock().pollables.pop() else { return Ok(false) };
            if self.is_listed(rep) && self.is_ready(rep)? {
                return Ok(true);
            }
        }
    }

    /// Looks at the pollables that were not looked at yet; whether it has come through the list, and not to the end of the
    /// guest's turn.
    fn through(&mut self, list: &[Borrow<Pollable>], turn: &mut Turn) -> Result<bool, Trap> {
        let Some(start) = self.poller.looked else { return Ok(true) };
        for (index, pollable) in list.iter().enumerate().skip(start) {
            if self.is_ready(pollable.rep)? {
                heap::reserve(&mut self.poller.ready, 1).map_err(refused)?;
                self.poller.ready.push(u32::try_from(index).unwrap_or(u32::MAX));
            }
            let looked = index.saturating_add(1);
            if looked.is_multiple_of(LOOKED_THROUGH) && turn.ends_here() {
                self.poller.looked = Some(looked);
                return Ok(false);
            }
        }
        self.poller.looked = None;
        Ok(true)
    }

    /// Whether a pollable, which may be gone, waits for what the current poll waits for.
    fn is_listed(&mut self, rep: u32) -> bool {
        let Ok(pollable) = self.table.get::<Pollable>(rep) else { return false };
        let listed = match pollable.source {
            Source::Instant(_) => pollable.watch.listed,
            Source::Resource(rep) => {
                self.table.watched(rep, |watched| watched.watch().listed).unwrap_or_default()
            }
        };
        listed == self.poller.number
    }

    /// Whether a pollable is ready; if not, what it waits for is watched.
    fn is_ready(&mut self, rep: u32) -> Result<bool, Trap> {
        let (number, fired) = (self.poller.number, &self.poller.fired);
        let source = self.table.get::<Pollable>(rep)?.source;
        match source {
            Source::Instant(deadline) => {
                let pollable = self.table.get_mut::<Pollable>(rep)?;
                let now = *self.now.get_or_insert_with(|| self.clock.monotonic());
                if deadline <= now {
                    return Ok(true);
                }
                pollable.watch.list(number, rep);
                if !pollable.watch.is_armed() {
                    let timer = pollable.timer.get_or_insert_with(|| Timer::new(self.clock.timers().clone()));
                    timer.set(deadline, pollable.watch.arm(rep, fired));
                }
                Ok(false)
            }
            Source::Resource(resource) => {
                self.table.watched(resource, |watched| is_ready(watched, number, rep, fired))
            }
        }
    }
}

/// What pollables wait for: a stream, a socket, whatever has a function `subscribe`.
pub trait Watched {
    /// How it is watched.
    fn watch(&mut self) -> &mut Watch;

    /// Whether it has failed, which wakes nobody: the guest knows of it.
    fn is_closed(&self) -> bool;

    /// Waits until something can be done with it.
    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()>;
}

/// Whether a resource is ready; if not, it is watched.
fn is_ready(resource: &mut dyn Watched, number: u64, pollable: u32, fired: &Arc<Mutex<Fired>>) -> bool {
    resource.watch().list(number, pollable);
    if resource.is_closed() {
        return true;
    }
    if resource.watch().is_armed() {
        return false;
    }
    let waker = resource.watch().arm(pollable, fired);
    let ready = resource.poll_ready(&mut Context::from_waker(&waker)).is_ready();
    if ready {
        resource.watch().disarm();
    }
    ready
}
