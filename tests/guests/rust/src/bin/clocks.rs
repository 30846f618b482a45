//! The four clocks: they go forward, they sleep, and the wall clock is this century's.
use guests::*;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() {
    // SAFETY: clock ids are numbers, and the results are returned by value.
    let (time, res) = unsafe { (|id, precision| clock_time_get(id, precision), |id| clock_res_get(id)) };
    for (name, id) in [("realtime", CLOCKID_REALTIME), ("monotonic", CLOCKID_MONOTONIC)] {
        let resolution = must(res(id));
        println!("{name} resolution is sane: {}", (1..=1_000_000_000).contains(&resolution));
        let mut last = 0;
        let mut forward = true;
        for precision in [0, 1, 1_000_000, u64::MAX] {
            let now = must(time(id, precision));
            forward &= now >= last;
            last = now;
        }
        println!("{name} goes forward: {forward}");
    }
    check("process cpu time", time(CLOCKID_PROCESS_CPUTIME_ID, 1));
    check("thread cpu time", time(CLOCKID_THREAD_CPUTIME_ID, 1));

    // 2024-01-01 and 2100-01-01.
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    println!("wall clock is this century's: {}", (1_704_067_200..4_102_444_800).contains(&wall));

    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(50));
    let slept = begun.elapsed();
    println!("slept at least 50 ms: {}", slept >= Duration::from_millis(50));
    println!("slept less than 30 s: {}", slept < Duration::from_secs(30));

    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(5) {}
    println!("a busy wait ends: true");
}
