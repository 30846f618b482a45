//! The clocks, against the machine's real-time clock and the host's date, and the timer.

use super::{machine, selftest};
use crate::{executor, time};
use core::future::poll_fn;
use core::task::Poll;
use wasi::clocks::Timer;

selftest! { the_monotonic_clock_never_goes_back the_monotonic_clock_goes_as_fast_as_the_real_time_clock
the_wall_clock_has_the_hosts_date the_timer_ends_a_sleep_and_not_too_early }

const SECOND: u64 = 1_000_000_000;

fn the_monotonic_clock_never_goes_back() {
    let mut last = time::monotonic();
    for _ in 0..100_000 {
        let now = time::monotonic();
        assert!(now >= last);
        last = now;
    }
    assert!(machine().clock.monotonic_resolution() >= 1);
}

/// When the real-time clock next begins a second: monotonic clock, and the second.
fn next_second() -> (u64, u64) {
    let now = || time::real_time_clock().expect("the machine has a real-time clock");
    let start = now();
    loop {
        let second = now();
        if second != start {
            return (time::monotonic(), second);
        }
    }
}

fn the_monotonic_clock_goes_as_fast_as_the_real_time_clock() {
    // The host may keep this machine waiting at either edge: then once more. A wrong rate is wrong every time.
    let deviation = || {
        let (start, first) = next_second();
        let (mut end, mut last) = next_second();
        while last < first + 3 {
            (end, last) = next_second();
        }
        (end - start).abs_diff((last - first) * SECOND) as f64 / (3 * SECOND) as f64
    };
    let deviations: [f64; 3] = core::array::from_fn(|_| deviation());
    assert!(deviations.iter().any(|&deviation| deviation < 0.03), "{deviations:?}");
}

fn the_wall_clock_has_the_hosts_date() {
    let host: u64 =
        machine().option("now").and_then(|now| now.parse().ok()).expect("now=SECONDS on the command line");
    let here = machine().clock.wall().expect("the machine knows the date") / SECOND;
    // The machine was started a while ago, on a host that has much to do.
    assert!((host.saturating_sub(2)..host + 300).contains(&here), "{here} here, {host} on the host");
}

fn the_timer_ends_a_sleep_and_not_too_early() {
    for sleep in [1, 1_000, SECOND / 1000, SECOND / 20, SECOND / 2] {
        let clock = &machine().clock;
        let mut timer = Timer::new(clock.timers().clone());
        let deadline = clock.monotonic() + sleep;
        executor::block_on(poll_fn(|task| {
            if clock.monotonic() >= deadline {
                return Poll::Ready(());
            }
            timer.set(deadline, task.waker().clone());
            Poll::Pending
        }));
        let late = clock.monotonic() - deadline;
        assert!(late < 30 * SECOND, "{late} ns late after {sleep} ns");
    }
    assert_eq!(machine().clock.timers().next_deadline(), None);
}
