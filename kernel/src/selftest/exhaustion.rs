//! Guests that take all the memory there is, alone and beside each other (the initrd's `exhaustion/*.wasm`, see
//! tests/src/exhaustion.rs): each ends, or goes on, and the machine with it. For a machine with 32 MiB.

use super::guests::{programs, wasi_machine};
use super::{machine, patiently, selftest};
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
use wasi::{Command, Limit, Limits, Need, Outcome, Program, Session, heap};

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
            let output = block_on(patiently(name, program.output(&wasi_machine(), command(name))));
            status(output.map(|output| output.outcome))
        }
    }
}

/// Runs `test`, then a program to which nothing may have happened, and looks for what was not given back.
fn undisturbed(test: impl FnOnce()) {
    let hello = program("guests/", "hello");
    let (before, kept) = (memory::stats(), heap::kept());
    test();
    let output = block_on(hello.output(&wasi_machine(), command("hello"))).expect("it starts");
    assert_eq!((output.outcome, &output.stdout[..]), (Outcome::Exited(0), &b"hello\n"[..]));
    let after = memory::stats();
    assert!(before.available.abs_diff(after.available) < 1 << 20, "{before:?}, {after:?}");
    assert_eq!(heap::kept(), kept, "what is kept for the programs that are gone");
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

/// Until a program that writes a byte before it waits (see tests/src/exhaustion.rs) has done so.
async fn waits(name: &str, session: &mut Session) {
    assert_eq!(patiently(name, session.read(&mut [0; 8])).await, Ok(1), "{name} waits");
}

async fn finish(name: &str, session: Session) -> Outcome {
    patiently(name, session.finish()).await
}

fn beside_one_that_has_taken_all_memory() {
    undisturbed(|| {
        let start = |name| {
            let session = program("exhaustion/", name).session(&wasi_machine(), command(name));
            session.unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        block_on(async {
            let names = ["wait_recursion", "wait_code", "wait_recursion", "wait_code"];
            let mut waiting = names.map(|name| (name, start(name)));
            for (name, session) in &mut waiting {
                waits(name, session).await;
            }
            let mut holding = start("hold_memory");
            waits("hold_memory", &mut holding).await;
            // What they need now was kept for them.
            for (name, session) in waiting {
                let expected = match name {
                    "wait_recursion" => Outcome::LimitReached(Limit::Stack),
                    _ => Outcome::Exited(0),
                };
                assert_eq!(finish(name, session).await, expected, "{name}");
            }
            assert_eq!(finish("hold_memory", holding).await, Outcome::Exited(0));
        });
    });
}

fn deep_stacks_of_many_guests() {
    let deep = program("exhaustion/", "wait_stack");
    let take_all = program("exhaustion/", "hold_memory");
    let start = |program: &Program| {
        let session = program.session(&wasi_machine(), Command::new("deep").limits(Limits::unlimited()));
        session.unwrap_or_else(|error| panic!("{error}"))
    };
    undisturbed(|| {
        block_on(async {
            let mut waiting: Vec<_> = (0..20).map(|_| start(&deep)).collect();
            for session in &mut waiting {
                waits("wait_stack", session).await;
                // For later, when there is no memory for it: it goes on when it is polled next.
                session.write_all(b"x").await.expect("there is room");
            }
            let mut holding = start(&take_all);
            waits("hold_memory", &mut holding).await;
            // Now they want stacks, for which nobody is asked.
            let (mut deep, mut ended) = (Vec::new(), 0);
            for mut session in waiting {
                match patiently("wait_stack", session.read(&mut [0; 8])).await {
                    Ok(1) => deep.push(session),
                    _ => {
                        let outcome = finish("wait_stack", session).await;
                        assert_eq!(outcome, Outcome::LimitReached(Limit::MachineMemory(Need::Reserve)));
                        ended += 1;
                    }
                }
            }
            logger::write(format_args!("exhausted by {} stacks, {ended} ended\n", deep.len()));
            assert!(!deep.is_empty() && ended > 0);
            // It may get no turn more; with its memory all others do.
            drop(holding);
            for session in deep {
                assert_eq!(finish("wait_stack", session).await, Outcome::Exited(0));
            }
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
        assert_eq!(block_on(patiently("fill_pipe", run)), Outcome::Exited(NOMEM));
        drop(reader);
    });
}
