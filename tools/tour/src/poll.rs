//! Waiting for one of several things.

use std::time::{Duration, Instant};

use wasip1::{
    CLOCKID_MONOTONIC, EVENTTYPE_CLOCK, EVENTTYPE_FD_READ, EVENTTYPE_FD_WRITE, Event, Subscription,
    SubscriptionClock, SubscriptionFdReadwrite, SubscriptionU, SubscriptionUU, poll_oneoff,
};

use crate::{Fault, Tour};

const SOON: u64 = 1;
const LATE: u64 = 2;
const STDIN: u64 = 3;
const STDOUT: u64 = 4;

pub fn polling(tour: &mut Tour) -> Result<String, Fault> {
    let start = Instant::now();
    let ready = poll(&[clock(LATE, Duration::from_secs(60)), clock(SOON, Duration::from_millis(10))])?;
    let took = start.elapsed();
    tour.check(ready == [SOON], format!("of two clocks, these are ready: {ready:?}"))?;
    tour.check(took >= Duration::from_millis(10), format!("a clock of 10 ms came after {took:?}"))?;

    let ready = poll(&[clock(LATE, Duration::from_secs(60)), stream(STDOUT, EVENTTYPE_FD_WRITE, 1)])?;
    tour.check(ready == [STDOUT], format!("standard output should be ready, but it is {ready:?}"))?;

    // Whether there is input is the user's choice.
    let ready = poll(&[clock(SOON, Duration::from_millis(10)), stream(STDIN, EVENTTYPE_FD_READ, 0)])?;
    let input = ready.contains(&STDIN);
    tour.check(input || ready == [SOON], format!("neither input nor the clock is ready: {ready:?}"))?;
    let input = if input { "has something to read, or has ended" } else { "is quiet" };
    Ok(format!("the earlier of two clocks wins; standard input {input}"))
}

fn clock(userdata: u64, timeout: Duration) -> Subscription {
    let clock = SubscriptionClock {
        id: CLOCKID_MONOTONIC,
        timeout: timeout.as_nanos() as u64,
        precision: 0,
        flags: 0,
    };
    Subscription { userdata, u: SubscriptionU { tag: EVENTTYPE_CLOCK.raw(), u: SubscriptionUU { clock } } }
}

fn stream(userdata: u64, kind: wasip1::Eventtype, file_descriptor: u32) -> Subscription {
    let what = SubscriptionFdReadwrite { file_descriptor };
    let u = if kind == EVENTTYPE_FD_READ {
        SubscriptionUU { fd_read: what }
    } else {
        SubscriptionUU { fd_write: what }
    };
    Subscription { userdata, u: SubscriptionU { tag: kind.raw(), u } }
}

/// The user data of the subscriptions that came true.
fn poll(subscriptions: &[Subscription]) -> Result<Vec<u64>, Fault> {
    let mut events = Vec::<Event>::with_capacity(subscriptions.len());
    // SAFETY: there is room for an event of each subscription, and as many are written as the call says.
    unsafe {
        let count = poll_oneoff(subscriptions.as_ptr(), events.as_mut_ptr(), subscriptions.len())?;
        events.set_len(count);
    }
    Ok(events.iter().map(|event| event.userdata).collect())
}
