//! The executor: tasks go on when they are woken, take turns, and leave nothing behind.

use super::{machine, selftest};
use crate::executor::{self, yield_now};
use crate::memory;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use wasi::clocks::Timer;

selftest! { a_thousand_tasks_end tasks_take_turns tasks_sleep_side_by_side a_cancelled_task_is_freed memory_is_tidied_meanwhile }

fn a_thousand_tasks_end() {
    let tasks: Vec<_> = (0..1_000usize)
        .map(|index| {
            executor::spawn(async move {
                for _ in 0..index % 7 {
                    yield_now().await;
                }
                index
            })
        })
        .collect();
    let sum = executor::block_on(async {
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        sum
    });
    assert_eq!(sum, 499_500);
}

fn tasks_take_turns() {
    let turns = Arc::new([const { AtomicUsize::new(0) }; 3]);
    let tasks: Vec<_> = (0..3)
        .map(|index| {
            let turns = turns.clone();
            executor::spawn(async move {
                for _ in 0..100 {
                    turns[index].fetch_add(1, Ordering::Relaxed);
                    let counts: Vec<_> = turns.iter().map(|count| count.load(Ordering::Relaxed)).collect();
                    assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
                    yield_now().await;
                }
            })
        })
        .collect();
    executor::block_on(async {
        for task in tasks {
            task.await;
        }
    });
}

fn tasks_sleep_side_by_side() {
    let clock = machine().clock.clone();
    let start = clock.monotonic();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let clock = clock.clone();
            executor::spawn(async move {
                let mut timer = Timer::new(clock.timers().clone());
                let deadline = start + 300_000_000;
                poll_fn(|task| {
                    if clock.monotonic() >= deadline {
                        return Poll::Ready(());
                    }
                    timer.set(deadline, task.waker().clone());
                    Poll::Pending
                })
                .await;
            })
        })
        .collect();
    executor::block_on(async {
        for task in tasks {
            task.await;
        }
    });
    let took = clock.monotonic() - start;
    assert!(
        (300_000_000..20_000_000_000).contains(&took),
        "100 sleeps of 0.3 s took {took} ns: 30 s in turn"
    );
}

fn a_cancelled_task_is_freed() {
    let held = Arc::new(());
    let other = held.clone();
    let task = executor::spawn(async move {
        let _other = other;
        core::future::pending::<()>().await;
    });
    executor::block_on(yield_now());
    assert_eq!(Arc::strong_count(&held), 2);
    drop(task);
    executor::block_on(async {
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(Arc::strong_count(&held), 1);
}

fn memory_is_tidied_meanwhile() {
    let blocks: Vec<_> = (0..100).map(|_| Box::new([1u8; 500])).collect();
    drop(blocks);
    assert!(memory::untidy() >= 100 * 500, "{}", memory::untidy());
    let clock = machine().clock.clone();
    let deadline = clock.monotonic() + 200_000_000;
    executor::block_on(async {
        while clock.monotonic() < deadline {
            yield_now().await;
        }
    });
    assert!(memory::untidy() < 100 * 500, "{}", memory::untidy());
}
