//! Waiting: `poll_oneoff`.

use super::{
    Polled, Preview1, State,
    descriptors::{Descriptors, Object},
    layouts::{Event, Layouts, Subscription, event_type},
    types::{ClockId, SUCCESS, errno},
};
use crate::{
    Error, Result, call::Argument, clocks::Clock, guest::GuestPtr, heap, io::Readiness, types::Nanoseconds,
};
use alloc::vec::Vec;
use core::task::{Context, Poll};

/// The most subscriptions in one call: as many as a guest has use for, few enough to look through at once, also where
/// each is a file and asks a device.
const SUBSCRIPTIONS_MAX: u32 = 1 << 12;

/// From this many subscriptions on, a call takes long.
const LOOKED_THROUGH: u32 = 1 << 6;

/// `subclockflags`: the timeout is an instant.
const ABSOLUTE: u16 = 1;
/// `eventrwflags`: the other side has hung up.
const HANGUP: u16 = 1;

/// Waits until at least one of the subscriptions has happened, and writes those that have.
///
/// An error of one subscription (a descriptor that is none) is an event with that error. `INVAL` for no subscription, for more than
/// [`SUBSCRIPTIONS_MAX`], and for one that is malformed.
pub fn poll_oneoff<L: Layouts>(
    call: &mut Preview1<'_>,
    subscriptions: GuestPtr<L::Subscription>,
    events: GuestPtr<Event>,
    count: u32,
    stored: GuestPtr<u32>,
) -> Polled {
    let (subscriptions, events) = (subscriptions.slice(count), events.slice(count));
    subscriptions.check(&call.memory)?;
    events.check(&call.memory)?;
    stored.check(&call.memory)?;
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Poll::Ready(Err(Error::Invalid));
    }

    let State { descriptors, clock, timer, progress, .. } = &mut *call.state;
    let now = clock.monotonic();
    if !call.repeated {
        *progress = now;
    }
    let time = Time { clock: &**clock, now, since: *progress };
    // Not written before all subscriptions are read: the buffers may overlap. One event, the usual case, takes no heap.
    let mut first = None;
    let mut others = Vec::new();
    let mut earliest = Nanoseconds::MAX;
    for subscription in subscriptions.values(&call.memory)? {
        let subscription: Subscription = subscription.into();
        let readiness = match Condition::decode(subscription)? {
            Condition::Time { clock, timeout, absolute } => match time.deadline(clock, timeout, absolute) {
                Ok(deadline) if deadline > now => {
                    earliest = earliest.min(deadline);
                    Poll::Pending
                }
                reached => Poll::Ready(reached.map(|_| Readiness::default())),
            },
            Condition::Readable(fd) => readable(descriptors, fd, &mut call.task),
            Condition::Writable(fd) => writable(descriptors, fd, &mut call.task),
        };
        if let Poll::Ready(readiness) = readiness {
            let event = event(subscription, readiness);
            if first.is_none() {
                first = Some(event);
            } else {
                heap::reserve(&mut others, 1)?;
                others.push(event);
            }
        }
    }

    if count > LOOKED_THROUGH {
        // If so, the guest's turn ends behind this call.
        call.turn.ends_here();
    }
    if first.is_none() {
        match earliest {
            Nanoseconds::MAX => timer.clear(),
            deadline => timer.set(deadline, call.task.waker().clone()),
        }
        return Poll::Pending;
    }
    timer.clear();
    let mut happened = 0;
    for event in first.into_iter().chain(others) {
        events.at(happened)?.write(&mut call.memory, event)?;
        happened = happened.saturating_add(1);
    }
    Poll::Ready(stored.write(&mut call.memory, happened))
}

/// What a subscription waits for.
enum Condition {
    Time { clock: ClockId, timeout: Nanoseconds, absolute: bool },
    Readable(u32),
    Writable(u32),
}

impl Condition {
    fn decode(subscription: Subscription) -> Result<Self> {
        let Subscription { event_type, subject, timeout, flags, .. } = subscription;
        match event_type {
            event_type::CLOCK if flags & !ABSOLUTE != 0 => Err(Error::Invalid),
            event_type::CLOCK => {
                Ok(Self::Time { clock: ClockId::decode(subject)?, timeout, absolute: flags & ABSOLUTE != 0 })
            }
            event_type::FD_READ => Ok(Self::Readable(subject)),
            event_type::FD_WRITE => Ok(Self::Writable(subject)),
            _ => Err(Error::Invalid),
        }
    }
}

/// The time of one poll.
struct Time<'a> {
    clock: &'a dyn Clock,
    now: Nanoseconds,
    /// When the call began, however often it has been repeated: what spans count from.
    since: Nanoseconds,
}

impl Time<'_> {
    /// The instant on the monotonic clock that a timeout means.
    fn deadline(&self, clock: ClockId, timeout: Nanoseconds, absolute: bool) -> Result<Nanoseconds> {
        let reading = match clock {
            ClockId::Monotonic => self.now,
            _ => clock.now(self.clock)?,
        };
        Ok(match (clock, absolute) {
            (ClockId::Monotonic, true) => timeout,
            // The wall clock may be set meanwhile: its distance is measured anew each time.
            (_, true) => self.now.saturating_add(timeout.saturating_sub(reading)),
            (_, false) => self.since.saturating_add(timeout),
        })
    }
}

fn readable(descriptors: &Descriptors, fd: u32, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
    match &descriptors.get(fd)?.object {
        Object::File(file) => Poll::Ready(file.readable()),
        object => object.reader()?.poll_readable(task),
    }
}

fn writable(descriptors: &Descriptors, fd: u32, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
    match &descriptors.get(fd)?.object {
        Object::File(file) => Poll::Ready(Ok(file.writable())),
        object => object.writer()?.poll_writable(task),
    }
}

fn event(subscription: Subscription, readiness: Result<Readiness>) -> Event {
    let Readiness { bytes, hangup } = readiness.unwrap_or_default();
    Event {
        user_data: subscription.user_data,
        error: readiness.map_or_else(errno, |_| SUCCESS),
        event_type: subscription.event_type,
        bytes,
        flags: if hangup { HANGUP } else { 0 },
    }
}

#[cfg(test)]
mod tests;
