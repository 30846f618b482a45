use super::*;
use crate::{
    io::OutputStream,
    preview1::{Snapshot, Unstable, testing::*},
};
use alloc::vec;
use core::task::Waker;

/// Where the subscriptions are, and the events.
const SUBSCRIPTIONS: u32 = FREE;
const EVENTS: u32 = FREE + 0x1000;
const STORED: u32 = FREE + 0x2000;

const SECOND: u64 = 1_000_000_000;

fn clock(id: u32, timeout: u64, flags: u16) -> Subscription {
    Subscription { user_data: 0xdead_beef_0000_0001, event_type: 0, subject: id, timeout, flags }
}

fn descriptor(event_type: u8, fd: u32) -> Subscription {
    Subscription { user_data: 0xffff_ffff_ffff_fff0, event_type, subject: fd, timeout: 0, flags: 0 }
}

fn poll(guest: &mut Guest, subscriptions: &[Subscription], again: bool) -> Poll<Result<Vec<Event>>> {
    for (index, &subscription) in (0..).zip(subscriptions) {
        guest.put_record(SUBSCRIPTIONS + 48 * index, subscription);
    }
    let count = subscriptions.len() as u32;
    let call = |call: &mut Preview1<'_>| {
        let (subscriptions, events) = (GuestPtr::new(SUBSCRIPTIONS), GuestPtr::new(EVENTS));
        poll_oneoff::<Snapshot>(call, subscriptions, events, count, GuestPtr::new(STORED))
    };
    let polled = if again { guest.poll_again(call) } else { guest.poll(call) };
    polled.map_ok(|()| (0..guest.get(STORED)).map(|index| guest.get(EVENTS + 32 * index)).collect())
}

fn write(guest: &Guest, bytes: &[u8]) {
    let mut task = Context::from_waker(Waker::noop());
    let written = guest.stdin.as_ref().unwrap().poll_write(&mut task, bytes);
    assert_eq!(written, Poll::Ready(Ok(bytes.len())));
}

fn happened(subscription: Subscription, bytes: u64, flags: u16) -> Event {
    let Subscription { user_data, event_type, .. } = subscription;
    Event { user_data, error: SUCCESS, event_type, bytes, flags }
}

#[test]
fn nothing_to_wait_for_is_invalid() {
    assert_eq!(poll(&mut guest(), &[], false), Poll::Ready(Err(Error::Invalid)));
}

#[test]
fn there_can_be_thousands_and_not_any_number() {
    let mut guest = guest();
    let count = SUBSCRIPTIONS_MAX;
    let events = FREE + 48 * (count + 1);
    let stored = events + 32 * (count + 1);
    guest.memory.resize(stored as usize + 4, 0);
    for index in 0..=count {
        guest.put_record(FREE + 48 * index, descriptor(event_type::FD_WRITE, 1));
    }
    let call = |count| {
        move |call: &mut Preview1<'_>| {
            let (subscriptions, events) = (GuestPtr::new(FREE), GuestPtr::new(events));
            poll_oneoff::<Snapshot>(call, subscriptions, events, count, GuestPtr::new(stored))
        }
    };
    assert_eq!(guest.poll(call(count)), Poll::Ready(Ok(())));
    assert_eq!(guest.get::<u32>(stored), count);
    assert_eq!(guest.poll(call(count + 1)), Poll::Ready(Err(Error::Invalid)));
}

#[test]
fn a_span_is_waited_for_once() {
    let mut guest = guest();
    let sleep = [clock(1, 5 * SECOND, 0)];
    assert!(poll(&mut guest, &sleep, false).is_pending());
    guest.clock.advance(3 * SECOND);
    assert_eq!(guest.wakes(), 0);
    assert!(poll(&mut guest, &sleep, true).is_pending(), "a repeated call counts from its beginning");
    guest.clock.advance(2 * SECOND - 1);
    assert_eq!(guest.wakes(), 0);
    guest.clock.advance(1);
    assert_eq!(guest.wakes(), 1);
    assert_eq!(poll(&mut guest, &sleep, true), Poll::Ready(Ok(vec![happened(sleep[0], 0, 0)])));
    assert_eq!(guest.clock.timers().next_deadline(), None, "no timer is left");
    assert!(poll(&mut guest, &sleep, false).is_pending(), "a new call counts anew");
}

#[test]
fn instants_are_those_of_their_clock() {
    let mut guest = guest();
    let now = guest.clock.monotonic();
    for (id, time) in [(0, EPOCH + now), (1, now)] {
        let past = clock(id, time, ABSOLUTE);
        assert_eq!(poll(&mut guest, &[past], false), Poll::Ready(Ok(vec![happened(past, 0, 0)])));
        let soon = clock(id, time + 10, ABSOLUTE);
        assert!(poll(&mut guest, &[soon], false).is_pending());
        assert_eq!(guest.clock.timers().next_deadline(), Some(now + 10));
    }
    assert!(poll(&mut guest, &[clock(0, 7, 0)], false).is_pending());
    assert_eq!(guest.clock.timers().next_deadline(), Some(now + 7), "the earlier one is gone");
    assert!(poll(&mut guest, &[clock(1, u64::MAX, 0)], false).is_pending());
    assert_eq!(guest.clock.timers().next_deadline(), None);
}

#[test]
fn the_earliest_clock_wakes_and_only_what_has_happened_is_told() {
    let mut guest = guest();
    let (late, soon) = (clock(1, 50, 0), clock(0, 20, 0));
    let all = [late, soon, descriptor(event_type::FD_READ, 0)];
    assert!(poll(&mut guest, &all, false).is_pending());
    guest.clock.advance(20);
    assert_eq!(guest.wakes(), 1);
    assert_eq!(poll(&mut guest, &all, true), Poll::Ready(Ok(vec![happened(soon, 0, 0)])));
    write(&guest, b"abc");
    assert_eq!(poll(&mut guest, &all, false), Poll::Ready(Ok(vec![happened(all[2], 3, 0)])));
}

#[test]
fn a_stream_wakes() {
    let mut guest = guest();
    let read = [descriptor(event_type::FD_READ, 0), clock(1, SECOND, 0)];
    assert!(poll(&mut guest, &read, false).is_pending());
    write(&guest, b"abc");
    assert!(guest.wakes() > 0);
    assert_eq!(poll(&mut guest, &read, true), Poll::Ready(Ok(vec![happened(read[0], 3, 0)])));
    assert_eq!(guest.clock.timers().next_deadline(), None, "nobody waits for the clock any more");
    guest.stdin = None;
    let Poll::Ready(Ok(events)) = poll(&mut guest, &read, false) else { panic!("not ready") };
    assert_eq!((events[0].bytes, events[0].flags), (3, HANGUP));
}

#[test]
fn output_and_files_are_ready_at_once() {
    let mut guest = guest();
    let fd = guest.file("f", b"text");
    let all = [
        descriptor(event_type::FD_WRITE, 1),
        descriptor(event_type::FD_WRITE, 2),
        descriptor(event_type::FD_WRITE, fd),
        descriptor(event_type::FD_READ, fd),
    ];
    let Poll::Ready(Ok(events)) = poll(&mut guest, &all, false) else { panic!("not ready") };
    assert_eq!(events.len(), all.len());
    for (event, subscription) in events.iter().zip(all) {
        assert_eq!(event.user_data, subscription.user_data);
        assert_eq!((event.error, event.event_type), (SUCCESS, subscription.event_type));
    }
    assert_eq!((events[3].bytes, events[3].flags), (0, HANGUP), "the position is at the end");
}

#[test]
fn an_error_is_an_event() {
    let mut guest = guest();
    let all = [
        descriptor(event_type::FD_READ, 99),
        descriptor(event_type::FD_READ, ROOT),
        descriptor(event_type::FD_WRITE, 0),
        clock(2, 0, 0),
        clock(1, SECOND, 0),
    ];
    let Poll::Ready(Ok(events)) = poll(&mut guest, &all, false) else { panic!("not ready") };
    assert_eq!(events.len(), 4);
    for (event, subscription) in events.iter().zip(all) {
        assert_eq!((event.user_data, event.error), (subscription.user_data, errno(Error::BadDescriptor)));
    }
}

#[test]
fn what_is_malformed_is_invalid() {
    let mut guest = guest();
    for subscription in [clock(9, 0, 0), clock(1, 0, 2), descriptor(3, 1)] {
        let stdout = descriptor(event_type::FD_WRITE, 1);
        assert_eq!(poll(&mut guest, &[stdout, subscription], false), Poll::Ready(Err(Error::Invalid)));
    }
}

#[test]
fn many_of_one_are_all_told() {
    let mut guest = guest();
    write(&guest, b"x");
    let subscriptions = [descriptor(event_type::FD_READ, 0); 80];
    let events = poll(&mut guest, &subscriptions, false);
    assert_eq!(events, Poll::Ready(Ok(vec![happened(subscriptions[0], 1, 0); 80])));
}

#[test]
fn too_many_are_refused_without_being_looked_at() {
    let mut guest = guest();
    let mut count = |count| {
        let pointer = GuestPtr::<Subscription>::new(0);
        guest.call(|call| poll_oneoff::<Snapshot>(call, pointer, GuestPtr::new(0), count, GuestPtr::new(0)))
    };
    assert_eq!(count(MEMORY / 48 + 1), Err(Error::Fault));
    assert_eq!(count(u32::MAX), Err(Error::Fault));
    guest.memory = vec![0; (SUBSCRIPTIONS_MAX as usize + 1) * 48];
    let mut count = |count| {
        let pointer = GuestPtr::<Subscription>::new(0);
        guest.poll(|call| poll_oneoff::<Snapshot>(call, pointer, GuestPtr::new(0), count, GuestPtr::new(0)))
    };
    assert_eq!(count(SUBSCRIPTIONS_MAX + 1), Poll::Ready(Err(Error::Invalid)));
    assert_eq!(count(SUBSCRIPTIONS_MAX), Poll::Ready(Ok(())));
}

#[test]
fn the_old_layout_has_one_field_more() {
    let mut guest = guest();
    let Subscription { user_data, event_type, subject, timeout, flags } = clock(1, 30, 0);
    let clock =
        crate::preview1::layouts::OldClockSubscription { user_data, event_type, subject, timeout, flags };
    guest.put_record(SUBSCRIPTIONS, clock);
    guest.put_record(SUBSCRIPTIONS + 56, descriptor(event_type::FD_READ, 0));
    let call = |call: &mut Preview1<'_>| {
        let (subscriptions, events) = (GuestPtr::new(SUBSCRIPTIONS), GuestPtr::new(EVENTS));
        poll_oneoff::<Unstable>(call, subscriptions, events, 2, GuestPtr::new(STORED))
    };
    assert!(guest.poll(call).is_pending());
    guest.clock.advance(30);
    assert_eq!(guest.poll_again(call), Poll::Ready(Ok(())));
    assert_eq!((guest.get::<u32>(STORED), guest.get::<u64>(EVENTS)), (1, user_data));
    write(&guest, b"x");
    assert_eq!(guest.poll(call), Poll::Ready(Ok(())));
    assert_eq!((guest.get::<u32>(STORED), guest.get::<u64>(EVENTS)), (1, 0xffff_ffff_ffff_fff0));
}
