//! sched_yield, ten thousand times; and proc_raise.
use guests::*;

fn main() {
    // SAFETY: neither call touches memory.
    let all = unsafe { (0..10_000).all(|_| sched_yield().is_ok()) };
    println!("yields: {all}");
}
