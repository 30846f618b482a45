//! Guests on the real allocator: the initrd's `guests/*.wasm`, friendly and hostile, all in one boot. What a guest has done
//! wrong is its own end, the next one runs as if nothing had been, and no memory is lost.

use super::{machine, selftest};
use crate::entropy::MachineEntropy;
use crate::init::{linear_memory, status};
use crate::{executor, logger, memory};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use manifest::Status;
use manifest::archive::{Archive, Content};
use wasi::filesystem::memory::MemoryFileSystem;
use wasi::filesystem::{Access, Descriptor, Directory, OpenFlags, Permissions};
use wasi::{Command, Engine, Limits, Machine, Outcome, Output, Program};

selftest! { hostile_guests_end_and_the_next_one_runs a_thousand_runs_end_where_they_began
a_hundred_guests_at_once memory_begins_zero_whoever_had_it the_file_system_in_memory_works }

const QUOTA: u64 = 8 << 20;

/// Programs in the initrd: the names of its files `DIRECTORY/NAME.wasm`, with their bytes.
pub(super) fn programs(directory: &str) -> Vec<(String, &'static [u8])> {
    let module = machine().info.modules.first().expect("an initrd with guests");
    let archive = Archive::open(memory::module(module)).expect("an archive");
    let entries = archive.entries().map(|entry| entry.expect("a sound entry"));
    let programs = entries.filter_map(|entry| match entry.content {
        Content::File(bytes) => {
            let name = entry.path.strip_prefix(directory)?.strip_suffix(".wasm")?;
            Some((name.to_string(), bytes))
        }
        _ => None,
    });
    programs.collect()
}

/// The bytes of the initrd's `guests/NAME.wasm`.
pub(super) fn program(name: &str) -> &'static [u8] {
    let found = programs("guests/").into_iter().find(|(found, _)| found == name);
    found.unwrap_or_else(|| panic!("the initrd has no guests/{name}.wasm")).1
}

/// What guests run on.
pub(super) fn wasi_machine() -> Machine {
    Machine {
        clock: machine().clock.clone(),
        entropy: MachineEntropy::new(Vec::new()),
        memories: Some(Arc::new(linear_memory::Arena)),
    }
}

/// With a directory `/t` in memory, and limits below the library's.
fn command(name: &str) -> Command {
    let files = MemoryFileSystem::new(machine().clock.clone(), QUOTA, 1).expect("a file system");
    Command::new(name)
        .preopen("/t", files.root(), Permissions::ReadWrite)
        .limits(Limits::default().with_memory(32 << 20).with_time(Duration::from_secs(5)))
}

fn run(program: &Program, name: &str) -> Output {
    executor::block_on(program.output(&wasi_machine(), command(name))).expect("it starts")
}

fn hostile_guests_end_and_the_next_one_runs() {
    let hello = Program::new(&Engine::new(), program("hello")).expect("a program");
    let check = |after: &str| {
        let output = run(&hello, "hello");
        assert_eq!(
            (output.outcome, &output.stdout[..]),
            (Outcome::Exited(0), &b"hello\n"[..]),
            "after {after}"
        );
    };
    check("nothing");
    let mut count = 0;
    for (name, bytes) in programs("guests/").into_iter().filter(|(name, _)| name != "hello") {
        let before = memory::stats();
        // What the test on the host compares with what it expects.
        let end = match Program::new(&Engine::new(), bytes) {
            Err(refusal) => Status::Error(refusal.to_string()),
            Ok(program) => {
                let output = executor::block_on(program.output(&wasi_machine(), command(&name)));
                status(output.map(|output| output.outcome))
            }
        };
        logger::write(format_args!("guest {name}: {end}\n"));
        check(&name);
        let after = memory::stats();
        assert!(before.available.abs_diff(after.available) < 1 << 20, "{name} leaves {before:?}, {after:?}");
        count += 1;
    }
    assert!(count > 0, "no hostile guests in the initrd");
}

fn a_thousand_runs_end_where_they_began() {
    let hello = Program::new(&Engine::new(), program("hello")).expect("a program");
    // The first runs leave what stays: translated code, the allocator's own structures.
    for _ in 0..10 {
        run(&hello, "hello");
    }
    let before = memory::stats();
    for _ in 0..1_000 {
        assert_eq!(run(&hello, "hello").outcome, Outcome::Exited(0));
    }
    let after = memory::stats();
    assert_eq!((before.available, before.heap), (after.available, after.heap));
}

fn a_hundred_guests_at_once() {
    let hello = Program::new(&Engine::new(), program("hello")).expect("a program");
    let runs: Vec<_> = (0..100)
        .map(|_| {
            let (hello, machine, command) = (hello.clone(), wasi_machine(), command("hello"));
            executor::spawn(async move { hello.output(&machine, command).await })
        })
        .collect();
    executor::block_on(async {
        for run in runs {
            let output = run.await.expect("it starts");
            assert_eq!((output.outcome, &output.stdout[..]), (Outcome::Exited(0), &b"hello\n"[..]));
        }
    });
}

fn memory_begins_zero_whoever_had_it() {
    // It says so by its exit code, and leaves all of its memory written.
    let guest = Program::new(&Engine::new(), program("writes_all")).expect("a program");
    for round in 0..3 {
        assert_eq!(run(&guest, "writes_all").outcome, Outcome::Exited(0), "round {round}");
        // It had what the one before it left: of all that it may have, its own was kept.
        let left = memory::Reservation::reused(32 << 20, 0).expect("address space");
        assert!(left.len() > 1 << 20, "{left:?}");
    }
}

fn the_file_system_in_memory_works() {
    let before = memory::stats();
    {
        let files = MemoryFileSystem::new(machine().clock.clone(), 64 << 20, 1).expect("a file system");
        let root = Directory::new(files.root(), Permissions::ReadWrite).expect("a directory");
        let write = Access { read: true, write: true };
        for index in 0..10_000 {
            let path = format!("file {index}");
            let Ok(Descriptor::File(mut file)) = root.open_at(&path, false, OpenFlags::CREATE, write) else {
                panic!("{path} cannot be made")
            };
            assert_eq!(file.write(path.as_bytes()), Ok(path.len()));
        }
        let mut names = 0;
        root.read_directory(0, &mut |_| {
            names += 1;
            core::ops::ControlFlow::Continue(())
        })
        .expect("it can be listed");
        assert_eq!(names, 10_002);
        // To the quota and not beyond.
        let Ok(Descriptor::File(mut file)) = root.open_at("large", false, OpenFlags::CREATE, write) else {
            panic!("cannot be made")
        };
        let block = vec![1; 1 << 20];
        let mut written = 0;
        let error = loop {
            match file.write(&block) {
                Ok(len) => written += len,
                Err(error) => break error,
            }
        };
        assert_eq!(error, wasi::Error::NoSpace);
        // A page of memory for each small file counts too.
        assert!((16 << 20..64 << 20).contains(&written), "{written}");
    }
    let after = memory::stats();
    assert!(before.available.abs_diff(after.available) < 1 << 20, "{before:?}, {after:?}");
}
