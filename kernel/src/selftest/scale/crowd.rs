//! A thousand guests at once, and what one costs that waits.

use super::{Random, Taken, command, finish, parameter, program, sleep, taken};
use crate::selftest::{guests, selftest};
use crate::{executor, logger, memory};
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_task::Task;
use core::time::Duration;
use wasi::io::{BytesOutput, PipeReader, pipe};
use wasi::{Command, Limits, Outcome, Program};

selftest! { a_thousand_guests_at_once_all_finish a_waiting_guest_costs_little }

/// How many guests there are of each kind; chains are of four.
const SLEEPERS: usize = 300;
const CHAINS: usize = 100;
const COMPUTERS: usize = 300;

/// A guest of the crowd.
struct Member {
    name: &'static str,
    task: Task<Outcome>,
    output: Arc<BytesOutput>,
    expected: Vec<u8>,
}

fn start(program: &Program, command: Command) -> Task<Outcome> {
    executor::spawn(program.start(&guests::wasi_machine(), command).expect("it starts"))
}

/// As the guest `random`.
fn next(seed: u32) -> u32 {
    seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
}

/// The checksum of the bytes that the guest `source` writes.
fn checksum(bytes: u32) -> u32 {
    let mut seed = bytes;
    (0..bytes).fold(0x811c_9dc5, |sum: u32, _| {
        seed = next(seed);
        (sum ^ seed >> 24).wrapping_mul(0x0100_0193)
    })
}

fn a_thousand_guests_at_once_all_finish() {
    let names = ["sleeper", "source", "copy", "sink", "compute"];
    let [sleeper, source, copy, sink, compute] = names.map(program);
    // What stays: the first of each translates the code, and the executor's queue was never as long before.
    crowd([&sleeper, &source, &copy, &sink, &compute], [1, 1, 1]);
    let crowded: Vec<_> = (0..SLEEPERS + 4 * CHAINS + COMPUTERS).map(|_| executor::spawn(async {})).collect();
    crowded.into_iter().for_each(executor::block_on);
    let before = taken();
    let start = super::now();
    crowd([&sleeper, &source, &copy, &sink, &compute], [SLEEPERS, CHAINS, COMPUTERS]);
    logger::write(format_args!("measured 1000 guests at once: {} ms\n", (super::now() - start) / 1_000_000));
    // But for what the small heap has grown by.
    let after = Taken { promised: before.promised, ..taken() };
    assert_eq!(before, after, "what a thousand guests leave");
}

/// All of them at once, each of which must do what it should.
fn crowd(programs: [&Program; 5], [sleepers, chains, computers]: [usize; 3]) {
    let [sleeper, source, copy, sink, compute] = programs;
    let mut random = Random(1_000);
    let mut members = Vec::new();
    let command =
        |value: u32| Command::new("crowd").input(parameter(value)).limits(Limits::default().with_time(None));
    let mut join = |name, program: &Program, command: Command, expected: Vec<u8>| {
        let output = Arc::new(BytesOutput::new(None));
        let task = start(program, command.stdout(output.clone()));
        members.push(Member { name, task, output, expected });
    };
    for _ in 0..sleepers {
        join("sleeper", sleeper, command(1 + random.below(40) as u32), Vec::new());
    }
    let mut between = Vec::new();
    for _ in 0..chains {
        let bytes = 1 + random.below(5_000) as u32;
        // Also less than a guest writes at once, and more than it ever writes.
        let mut pipe = || pipe([10, 100, 777, 64 << 10][random.below(4) as usize]);
        let (first, writer) = pipe();
        between.push(start(source, command(bytes).stdout(Arc::new(writer))));
        let last = (0..2).fold(first, |reader: PipeReader, _| {
            let (next, writer) = pipe();
            between.push(start(copy, command(0).stdin(Arc::new(reader)).stdout(Arc::new(writer))));
            next
        });
        join("sink", sink, command(0).stdin(Arc::new(last)), checksum(bytes).to_le_bytes().into());
    }
    for _ in 0..computers {
        let rounds = 1 + random.below(30_000) as u32;
        let expected = (0..rounds).fold(0, |seed, _| next(seed)).to_le_bytes().into();
        join("compute", compute, command(rounds), expected);
    }
    for Member { name, task, output, expected } in members {
        assert_eq!((finish(name, task), output.take()), (Outcome::Exited(0), expected), "{name}");
    }
    for task in between {
        assert_eq!(finish("source or copy", task), Outcome::Exited(0));
    }
}

/// The most that a guest that waits may cost beside its linear memory.
const IDLE: usize = 16 << 10;

fn a_waiting_guest_costs_little() {
    const GUESTS: usize = 50;
    const MEMORY: usize = 2 << 16;
    for name in ["sleep", "wait"] {
        let program = program(name);
        // What it shares with others: its directory and its input.
        let (reader, _writer) = pipe(16);
        let command = command(name, 1 << 20).stdin(Arc::new(reader));
        let run = || {
            let before = memory::stats();
            let tasks: Vec<_> = (0..GUESTS).map(|_| start(&program, command.clone())).collect();
            // Until all of them wait.
            executor::block_on(sleep(Duration::from_millis(50)));
            assert!(tasks.iter().all(|task| !task.is_finished()));
            let after = memory::stats();
            executor::block_on(async {
                for task in tasks {
                    task.cancel().await;
                }
            });
            (after.heap - before.heap, before.available - after.available)
        };
        // The heap keeps what the first ones made it grow by: then it is known what the others take beside it.
        run();
        let (heap, frames) = run();
        let (heap, tables) = (heap / GUESTS, frames / GUESTS - MEMORY);
        logger::write(format_args!(
            "measured a guest in {name}: {heap} bytes of heap and {tables} bytes of page tables beside its memory\n"
        ));
        assert!(heap + tables < IDLE, "a guest in {name} costs {heap} + {tables} bytes");
    }
}
