//! Guests that take all the memory there is, alone and beside each other (the initrd's `exhaustion/*.wasm`, see
//! tests/src/exhaustion.rs): each ends, or goes on, and the machine with it. For a machine with 32 MiB.

use super::guests::{programs, wasi_machine};
use super::{machine, selftest};
use crate::executor::block_on;
use crate::init::{self, status};
use crate::{logger, memory};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use manifest::Status;
use wasi::filesystem::Permissions;
use wasi::filesystem::memory::MemoryFileSystem;
use wasi::io::pipe;
use wasi::{Command, Limit, Limits, Outcome, Program, StartError};

selftest! { each_of_them_ends_and_the_machine_goes_on beside_one_that_has_taken_all_memory
deep_stacks_of_many_guests a_pipe_that_nobody_reads }

fn program(directory: &str, name: &str) -> Program {
    let wasm = programs(directory).into_iter().find(|(found, _)| found == name).expect("in the initrd").1;
    Program::new(&init::engine(), wasm).expect("a program")
}

/// With directories in memory, for which there is room beyond any limit.
fn command(name: &str) -> Command {
    let directory =
        |device| MemoryFileSystem::new(machine().clock.clone(), u64::MAX, device).expect("room").root();
    Command::new(name)
        .limits(Limits::unlimited())
        .preopen("/a", directory(1), Permissions::ReadWrite)
        .preopen("/b", directory(2), Permissions::ReadWrite)
}

/// How a program ends, from its bytes on.
fn end(name: &str, wasm: &[u8]) -> Status {
    match Program::new(&init::engine(), wasm) {
        Err(refusal) => Status::Error(refusal.to_string()),
        Ok(program) => {
            let output = block_on(program.output(&wasi_machine(), command(name)));
            status(output.map(|output| output.outcome))
        }
    }
}

/// Runs `test`, then a program to which nothing may have happened, and looks for what was not given back.
fn undisturbed(test: impl FnOnce()) {
    let hello = program("guests/", "hello");
    let before = memory::stats();
    test();
    let output = block_on(hello.output(&wasi_machine(), command("hello"))).expect("it starts");
    assert_eq!((output.outcome, &output.stdout[..]), (Outcome::Exited(0), &b"hello\n"[..]));
    let after = memory::stats();
    assert!(before.available.abs_diff(after.available) < 1 << 20, "{before:?}, {after:?}");
}

fn each_of_them_ends_and_the_machine_goes_on() {
    let mut count = 0;
    // Their input is at its end: none waits.
    for (name, wasm) in programs("exhaustion/").into_iter().filter(|(name, _)| name != "fill_pipe") {
        undisturbed(|| {
            let end = end(&name, wasm);
            logger::write(format_args!("exhausted {name}: {end}\n"));
            // None is ended by what it cannot know, that the reserve is used up: each was refused something before.
            assert!(!format!("{end}").contains("nested calls and functions"), "{end}");
        });
        count += 1;
    }
    assert!(count > 0, "no programs in the initrd");
}

fn beside_one_that_has_taken_all_memory() {
    undisturbed(|| {
        let start = |name| {
            let session = program("exhaustion/", name).session(&wasi_machine(), command(name));
            session.unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        block_on(async {
            let mut waiting = ["wait_recursion", "wait_code", "wait_recursion", "wait_code"].map(start);
            for session in &mut waiting {
                assert_eq!(session.read(&mut [0; 8]).await, Ok(1), "it waits");
            }
            let mut holding = start("hold_memory");
            assert_eq!(holding.read(&mut [0; 8]).await, Ok(1), "it has taken all");
            // What they need now was kept for them.
            for (index, session) in waiting.into_iter().enumerate() {
                let outcome = session.finish().await;
                match index % 2 {
                    0 => assert_eq!(outcome, Outcome::LimitReached(Limit::Stack)),
                    _ => assert_eq!(outcome, Outcome::Exited(0)),
                }
            }
            assert_eq!(holding.finish().await, Outcome::Exited(0));
        });
    });
}

fn deep_stacks_of_many_guests() {
    let deep = program("exhaustion/", "hold_stack");
    undisturbed(|| {
        block_on(async {
            let (mut holding, mut ended) = (Vec::new(), Vec::new());
            while ended.len() < 5 {
                assert!(holding.len() < 1_000, "no end of the memory");
                match deep.session(&wasi_machine(), Command::new("deep").limits(Limits::unlimited())) {
                    Ok(mut session) => match session.read(&mut [0; 8]).await {
                        Ok(1) => holding.push(session),
                        _ => ended.push(session.finish().await),
                    },
                    Err(StartError::Limit(limit)) => ended.push(Outcome::LimitReached(limit)),
                    Err(error) => panic!("{error}"),
                }
            }
            logger::write(format_args!("exhausted by {} stacks\n", holding.len()));
            assert!(holding.len() > 3);
            for outcome in ended {
                assert!(matches!(outcome, Outcome::LimitReached(Limit::MachineMemory(_))), "{outcome}");
            }
            // Those that have their stacks need nothing more, but a turn: which they get as long as one is left for each.
            let mut finished = 0;
            while let Some(session) = holding.pop() {
                match session.finish().await {
                    Outcome::Exited(0) => finished += 1,
                    Outcome::LimitReached(Limit::MachineMemory(_)) => {}
                    outcome => panic!("{outcome}"),
                }
            }
            assert!(finished > 3, "{finished}");
        });
    });
}

fn a_pipe_that_nobody_reads() {
    const NOMEM: u32 = 48;
    let fill = program("exhaustion/", "fill_pipe");
    undisturbed(|| {
        let (reader, writer) = pipe(1 << 30);
        let command = Command::new("fill").limits(Limits::unlimited()).stdout(Arc::new(writer));
        let run = fill.start(&wasi_machine(), command).expect("it starts");
        assert_eq!(block_on(run), Outcome::Exited(NOMEM));
        drop(reader);
    });
}
