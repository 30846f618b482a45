//! poll_oneoff: clocks relative and absolute, stdio, files, and what is refused.
use guests::*;
use std::time::Instant;

fn clock(userdata: u64, id: Clockid, timeout: Timestamp, flags: Subclockflags) -> Subscription {
    let clock = SubscriptionClock { id, timeout, precision: 1, flags };
    Subscription { userdata, u: SubscriptionU { tag: EVENTTYPE_CLOCK.raw(), u: SubscriptionUU { clock } } }
}

fn ready(userdata: u64, kind: Eventtype, fd: Fd) -> Subscription {
    let fd_read = SubscriptionFdReadwrite { file_descriptor: fd };
    Subscription { userdata, u: SubscriptionU { tag: kind.raw(), u: SubscriptionUU { fd_read } } }
}

fn poll(label: &str, subscriptions: &[Subscription]) -> u128 {
    let begun = Instant::now();
    let mut events = Vec::with_capacity(subscriptions.len());
    // SAFETY: there is room for as many events as subscriptions, and what the call counts is written.
    let result = unsafe {
        let result = poll_oneoff(subscriptions.as_ptr(), events.as_mut_ptr(), subscriptions.len());
        events.set_len(result.unwrap_or(0));
        result
    };
    println!("{label}: {}", result.map_or_else(|errno| errno.name().to_owned(), |n| format!("{n} events")));
    for Event { userdata, error, type_, .. } in events {
        println!("  {userdata} {} {}", type_.name(), error.name());
    }
    begun.elapsed().as_millis()
}

const MS: Timestamp = 1_000_000;

fn main() {
    poll("no subscriptions", &[]);
    let took = poll("a relative clock", &[clock(7, CLOCKID_MONOTONIC, 30 * MS, 0)]);
    println!("took at least 30 ms: {}", took >= 30);
    poll("a clock at 0", &[clock(u64::MAX, CLOCKID_MONOTONIC, 0, 0)]);
    let took = poll(
        "the earlier of two",
        &[clock(1, CLOCKID_MONOTONIC, 3_600_000 * MS, 0), clock(2, CLOCKID_MONOTONIC, 10 * MS, 0)],
    );
    println!("waited for the earlier only: {}", (10..60_000).contains(&took));
    // SAFETY: the clock's id is a number.
    let (mono, wall) =
        unsafe { (must(clock_time_get(CLOCKID_MONOTONIC, 1)), must(clock_time_get(CLOCKID_REALTIME, 1))) };
    let absolute = SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME;
    let took = poll("an absolute clock", &[clock(3, CLOCKID_MONOTONIC, mono + 50 * MS, absolute)]);
    println!("did not wait for ever: {}", took < 60_000);
    // SAFETY: as above.
    let after = unsafe { must(clock_time_get(CLOCKID_MONOTONIC, 1)) };
    println!("is past its time: {}", after >= mono + 50 * MS);
    poll("an absolute wall clock", &[clock(4, CLOCKID_REALTIME, wall + 20 * MS, absolute)]);
    poll("one that has passed", &[clock(5, CLOCKID_MONOTONIC, 1, absolute)]);
    poll("a relative wall clock", &[clock(6, CLOCKID_REALTIME, MS, 0)]);

    poll("stdout and stderr", &[ready(10, EVENTTYPE_FD_WRITE, 1), ready(11, EVENTTYPE_FD_WRITE, 2)]);
    poll(
        "stdout before a long clock",
        &[clock(12, CLOCKID_MONOTONIC, 3_600_000 * MS, 0), ready(13, EVENTTYPE_FD_WRITE, 1)],
    );
    poll("stdin at its end", &[ready(14, EVENTTYPE_FD_READ, 0)]);
    create("file", "data");
    let fd = must(open("file", 0, READ_WRITE | RIGHTS_POLL_FD_READWRITE, 0));
    poll("a file", &[ready(15, EVENTTYPE_FD_READ, fd), ready(16, EVENTTYPE_FD_WRITE, fd)]);
    close(fd);
    unlink("file");
    poll("a closed descriptor", &[ready(17, EVENTTYPE_FD_READ, 1000)]);
    poll(
        "a closed descriptor and a long clock",
        &[clock(18, CLOCKID_MONOTONIC, 3_600_000 * MS, 0), ready(19, EVENTTYPE_FD_WRITE, 1000)],
    );
    let many: Vec<_> = (0..100).map(|i| clock(i, CLOCKID_MONOTONIC, 0, 0)).collect();
    let mut events = Vec::<Event>::with_capacity(many.len());
    // SAFETY: there is room for as many events as subscriptions.
    show("100 clocks at 0", unsafe { poll_oneoff(many.as_ptr(), events.as_mut_ptr(), many.len()) });
}
