//! What polls do.

use super::{
    super::poll::{self, block, poll},
    *,
};
use crate::preview2::clocks::subscribe_duration;

#[test]
fn a_stream_outlives_its_pollables() {
    let mut guest = guest();
    let (from, to) = (stdin(&mut guest), stdout(&mut guest));
    let read = guest.call(subscribe_input, (from,));
    let written = guest.call(subscribe_output, (to,));
    assert!(matches!(guest.drop::<Input>(from.rep), Err(Trap::Host(_))));
    assert!(matches!(guest.drop::<Output>(to.rep), Err(Trap::Host(_))));
    for pollable in [read, written] {
        guest.drop::<Pollable>(pollable.rep).unwrap();
    }
    assert_eq!(guest.drop::<Input>(from.rep), Ok(()));
    assert_eq!(guest.drop::<Output>(to.rep), Ok(()));
    assert_eq!(guest.data.state.table.len(), 0);
}

#[test]
fn a_poll_waits_for_any_and_gives_all_that_are_ready() {
    let mut guest = guest();
    let (from, to) = (stdin(&mut guest), stdout(&mut guest));
    let readable = borrow(guest.call(subscribe_input, (from,)));
    let writable = borrow(guest.call(subscribe_output, (to,)));
    let timeout = borrow(guest.call(subscribe_duration, (100,)));
    let list = |list: &[Borrow<Pollable>]| (list.to_vec(),);
    assert!(matches!(guest.trap(poll, list(&[])), Trap::Host(_)));
    assert_eq!(guest.call(poll, list(&[readable, writable, timeout, writable])), [1, 3]);
    let waiting = [timeout, readable, readable];
    assert!(guest.poll(poll, list(&waiting)).is_pending());
    assert!(guest.poll_again(poll, list(&waiting)).is_pending());
    assert_eq!(guest.wakes(), 0);
    guest.feed(b"x");
    assert_eq!(guest.wakes(), 1);
    guest.clock.advance(99);
    assert_eq!(done(guest.poll_again(poll, list(&waiting))), [1, 2]);
    assert_eq!(guest.call(poll, list(&waiting)), [1, 2], "it is still ready");
    assert_eq!(guest.call(read, (from, 9)), Ok(b"x".to_vec()));
    assert!(guest.poll(poll, list(&waiting)).is_pending());
    guest.clock.advance(1);
    assert_eq!(guest.wakes(), 2);
    assert_eq!(done(guest.poll_again(poll, list(&waiting))), [0]);
    guest.feed(b"y");
    assert_eq!(guest.wakes(), 2, "nobody waits");
    assert_eq!(guest.call(read, (from, 9)), Ok(b"y".to_vec()));
    assert!(guest.call(poll::ready, (timeout,)));
    assert!(!guest.call(poll::ready, (readable,)));
    assert!(guest.poll(block, (readable,)).is_pending());
    guest.stdin = None;
    assert_eq!(guest.wakes(), 3);
    done(guest.poll_again(block, (readable,)));
}

#[test]
fn who_does_not_wait_is_not_woken_and_a_pollable_that_is_gone_wakes_nobody() {
    let mut guest = guest();
    let from = stdin(&mut guest);
    let (here, gone) = (guest.call(subscribe_input, (from,)), guest.call(subscribe_input, (from,)));
    for pollable in [here, gone] {
        assert!(!guest.call(poll::ready, (borrow(pollable),)));
    }
    guest.drop::<Pollable>(gone.rep).unwrap();
    guest.feed(b"x");
    assert_eq!(guest.wakes(), 0);
    assert!(guest.call(poll::ready, (borrow(here),)));
    let timeout = borrow(guest.call(subscribe_duration, (5,)));
    let list = (vec![timeout],);
    assert_eq!(guest.call(read, (from, 1)), Ok(b"x".to_vec()));
    assert!(!guest.call(poll::ready, (borrow(here),)));
    assert!(guest.poll(poll, list.clone()).is_pending());
    guest.feed(b"y");
    assert!(
        guest.poll_again(poll, list.clone()).is_pending(),
        "another one is ready, which nobody asked for"
    );
    guest.clock.advance(5);
    assert_eq!(done(guest.poll_again(poll, list)), [0]);
    assert!(guest.call(poll::ready, (borrow(here),)));
}

#[test]
fn what_fires_while_others_are_waited_for_is_not_asked() {
    let mut guest = guest();
    let source = Arc::new(Counted::default());
    let stream = input(&mut guest, source.clone());
    let here = borrow(guest.call(subscribe_input, (stream,)));
    let timeout = borrow(guest.call(subscribe_duration, (5,)));
    assert!(!guest.call(poll::ready, (here,)));
    assert!(guest.poll(poll, (vec![timeout],)).is_pending());
    source.wake(false);
    assert!(guest.poll_again(poll, (vec![timeout],)).is_pending());
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
    for round in 2..100 {
        assert!(!guest.call(poll::ready, (here,)));
        assert_eq!(source.asked.load(Ordering::Relaxed), round);
        source.wake(false);
        assert_eq!(guest.data.state.poller.fired(), 1, "they do not pile up");
    }
}

/// A source that counts how often it is asked, and is ready when it is told.
#[derive(Default)]
struct Counted {
    asked: AtomicUsize,
    waiting: spin::Mutex<Option<core::task::Waker>>,
    ready: core::sync::atomic::AtomicBool,
}

impl Counted {
    fn wake(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
        let waiting = self.waiting.lock().take();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl InputStream for Arc<Counted> {
    fn poll_read(&self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<crate::Result<usize>> {
        Poll::Pending
    }

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<crate::Result<Readiness>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.ready.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(Readiness { bytes: 1, hangup: false }));
        }
        *self.waiting.lock() = Some(task.waker().clone());
        Poll::Pending
    }
}

#[test]
fn thousands_are_asked_once_and_then_only_those_that_fired() {
    const COUNT: usize = 3_000;
    let mut guest = guest_with(COUNT as u32);
    let sources: Vec<_> = (0..COUNT).map(|_| Arc::new(Counted::default())).collect();
    let list: Vec<_> = (sources.iter())
        .map(|source| {
            let stream = input(&mut guest, source.clone());
            borrow(guest.call(subscribe_input, (stream,)))
        })
        .collect();
    let asked = || sources.iter().map(|source| source.asked.load(Ordering::Relaxed)).sum::<usize>();
    assert!(guest.poll(poll, (list.clone(),)).is_pending());
    assert_eq!(asked(), COUNT);
    // In vain, a thousand times.
    for source in &sources[..1_000] {
        source.wake(false);
        assert!(guest.poll_again(poll, (list.clone(),)).is_pending());
    }
    assert_eq!(asked(), COUNT + 1_000);
    assert_eq!(guest.wakes(), 1_000);
    sources[7].wake(true);
    sources[2_999].wake(true);
    assert_eq!(done(guest.poll_again(poll, (list.clone(),))), [7, 2_999]);
    // Looked at in order to know that any is ready, and to know all that are.
    assert!(asked() <= COUNT + 1_003, "{}", asked());
    let before = asked();
    assert_eq!(guest.call(poll, (list,)), [7, 2_999]);
    assert_eq!(asked(), before + 2, "who waits is not asked again");
}

#[test]
fn all_that_waits_for_one_stream_has_one_waker() {
    let mut guest = guest();
    let source = Arc::new(Counted::default());
    guest.data.state.stdin = Input::new(Arc::new(source.clone()), Origin::Stdio);
    let list: Vec<_> = (0..100)
        .map(|_| {
            let stream = stdin(&mut guest);
            borrow(guest.call(subscribe_input, (stream,)))
        })
        .collect();
    assert!(guest.poll(poll, (list.clone(),)).is_pending());
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
    // Those that may stand for all are gone, and then others are asked for.
    guest.drop::<Pollable>(list[0].rep).unwrap();
    guest.drop::<Pollable>(list[99].rep).unwrap();
    let rest = vec![list[3], list[50]];
    assert!(guest.poll(poll, (rest.clone(),)).is_pending());
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
    source.wake(true);
    assert_eq!(guest.wakes(), 1);
    assert_eq!(done(guest.poll_again(poll, (rest,))), [0, 1]);
}

#[test]
fn a_long_list_is_looked_at_in_turns() {
    let mut guest = guest();
    let (soon, late) = (guest.call(subscribe_duration, (1_000,)), guest.call(subscribe_duration, (9_000,)));
    let mut list = vec![borrow(late); 200];
    list[10] = borrow(soon);
    list[150] = borrow(soon);
    let list = (list,);
    guest.end_turns();
    assert!(guest.poll(poll, list.clone()).is_pending());
    assert_eq!(guest.wakes(), 1, "it goes on in its next turn");
    assert!(guest.poll_again(poll, list.clone()).is_pending());
    assert_eq!(guest.wakes(), 2);
    // What it has looked at already fires meanwhile.
    guest.clock.advance(1_000);
    assert_eq!(guest.wakes(), 3);
    let ready = loop {
        match guest.poll_again(poll, list.clone()) {
            Poll::Ready(ready) => break ready.unwrap(),
            Poll::Pending => assert!(guest.wakes() < 20, "it never ends"),
        }
    };
    assert!(ready == [150] || ready == [10, 150], "{ready:?}");
    // None is ready: it waits, and is not looked at again before something fires.
    let list = (vec![borrow(late); 64],);
    assert!(guest.poll(poll, list.clone()).is_pending());
    assert!(guest.poll_again(poll, list.clone()).is_pending());
    let before = guest.wakes();
    assert!(guest.poll_again(poll, list.clone()).is_pending());
    assert_eq!(guest.wakes(), before);
    guest.clock.advance(8_000);
    assert_eq!(guest.wakes(), before + 1);
    assert!(guest.poll_again(poll, list.clone()).is_pending(), "its turn ends when it has looked");
    assert_eq!(done(guest.poll_again(poll, list)), (0..64).collect::<Vec<_>>());
}

#[test]
fn timers_are_given_up_with_their_pollables() {
    let mut guest = guest();
    let timers = crate::clocks::Clock::timers(&*guest.clock).clone();
    let timeouts = [10, 20, 30].map(|span| guest.call(subscribe_duration, (span,)));
    assert_eq!(timers.next_deadline(), None, "nobody waits");
    assert!(guest.poll(poll, (timeouts.map(borrow).to_vec(),)).is_pending());
    assert_eq!(timers.next_deadline(), Some(1_010));
    guest.drop::<Pollable>(timeouts[0].rep).unwrap();
    assert_eq!(timers.next_deadline(), Some(1_020));
    guest.clock.advance(25);
    assert_eq!(guest.call(poll, (timeouts[1..].iter().copied().map(borrow).collect(),)), [0]);
    for timeout in &timeouts[1..] {
        guest.drop::<Pollable>(timeout.rep).unwrap();
    }
    assert_eq!(timers.next_deadline(), None);
}

#[test]
fn there_is_an_end_to_resources() {
    let mut guest = guest_with(1);
    let from = stdin(&mut guest);
    let limit = loop {
        match guest.poll(subscribe_input, (from,)) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => break error.downcast_ref::<Trap>().cloned(),
            Poll::Pending => panic!(),
        }
    };
    assert!(matches!(limit, Some(Trap::Limit(_))));
}
