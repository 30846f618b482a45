//! What runs and programs leave on the heap: nothing; what file systems take of it: no more than their quota; and what
//! happens when there is none left. Alone in its process, because it counts every byte.

mod bounded;

use bounded::{LIMIT, LIVE};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};
use wasi::{
    Command, Engine, Error, Machine, Outcome, Program,
    clocks::{Clock, Timer},
    filesystem::{Access, Descriptor, Directory, OpenFile, OpenFlags, Permissions, memory::MemoryFileSystem},
    hosted,
    io::pipe,
    types::Nanoseconds,
};

/// Reads a byte from stdin, recurses 1,000 deep, grows its memory, writes a byte to stdout, and traps if the byte was 1.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\01\00\00\00")
    (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "_start")
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $deep (i32.const 1000))
        (drop (memory.grow (i32.const 5)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (if (i32.eq (i32.load8_u (i32.const 16)) (i32.const 1)) (then unreachable))))"#;

/// Waits until a timer rings.
fn wait(clock: &dyn Clock, span: Nanoseconds) {
    let deadline = clock.monotonic() + span;
    let mut timer = Timer::new(clock.timers().clone());
    let mut rung = false;
    hosted::block_on(poll_fn(|task| {
        if core::mem::replace(&mut rung, true) {
            return Poll::Ready(());
        }
        timer.set(deadline, task.waker().clone());
        Poll::Pending
    }));
}

/// One run to its end, one that traps, one that is dropped while it waits; on a program of its own if asked.
fn round(program: &Program, machine: &Machine) {
    for (input, success) in [("x", true), ("\x01", false)] {
        let output = hosted::block_on(program.output(machine, Command::new("test").input(input))).unwrap();
        assert_eq!(output.outcome.success(), success);
        assert_eq!(output.stdout, input.as_bytes());
    }
    let (stdin, writer) = pipe(1);
    let mut run = pin!(program.start(machine, Command::new("test").stdin(Arc::new(stdin))).unwrap());
    assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(writer);
    assert!(matches!(hosted::block_on(run), Outcome::Exited(0)));
    let (stdin, _writer) = pipe(1);
    let mut dropped = Box::pin(program.start(machine, Command::new("test").stdin(Arc::new(stdin))).unwrap());
    assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

fn a_thousand_runs_leave_nothing() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    let heap = Machine { memories: None, ..hosted::machine() };
    let mapped = hosted::machine();
    let engine = Engine::new();
    let program = Program::new(&engine, &wasm).unwrap();
    let rounds = |count: usize| {
        for _ in 0..count {
            round(&program, &heap);
            round(&program, &mapped);
        }
    };
    // Once for what is made on first use: lazily compiled functions, the thread of the timers, which must have begun.
    rounds(1);
    wait(&*mapped.clock, 1);
    let before = LIVE.load(Ordering::Relaxed);
    rounds(250);
    assert_eq!(LIVE.load(Ordering::Relaxed), before);
    for _ in 0..20 {
        let program = Program::new(&engine, &wasm).unwrap();
        round(&program, &mapped);
    }
    assert_eq!(LIVE.load(Ordering::Relaxed), before);
}

fn file_system(quota: u64) -> (MemoryFileSystem, Directory) {
    let files = MemoryFileSystem::new(hosted::machine().clock, quota, 1).unwrap();
    let root = Directory::new(files.root(), Permissions::ReadWrite).unwrap();
    (files, root)
}

fn create(directory: &Directory, path: &str) -> wasi::Result<OpenFile> {
    let access = Access { read: true, write: true };
    match directory.open_at(path, false, OpenFlags::CREATE, access)? {
        Descriptor::File(file) => Ok(file),
        Descriptor::Directory(_) => Err(Error::IsDirectory),
    }
}

fn open_directory(directory: &Directory, path: &str) -> wasi::Result<Directory> {
    match directory.open_at(path, false, OpenFlags::DIRECTORY, Access::default())? {
        Descriptor::Directory(directory) => Ok(directory),
        Descriptor::File(_) => Err(Error::NotDirectory),
    }
}

/// Makes the next thing of its kind; the directory is where.
type Make = fn(&mut Directory, usize) -> wasi::Result<()>;

const KINDS: [(&str, Make); 7] = [
    ("empty files", |root, n| create(root, &n.to_string()).map(drop)),
    ("files of one byte", |root, n| create(root, &n.to_string())?.write(b"x").map(drop)),
    ("sparse files", |root, n| {
        let file = create(root, &n.to_string())?;
        (0..20).try_for_each(|page| file.pwrite(b"x", page << 30).map(drop))
    }),
    ("symbolic links", |root, n| root.symlink_at("x", &n.to_string())),
    ("hard links", |root, n| match n {
        0 => create(root, "0").map(drop),
        n => root.link_at("0", false, root, &n.to_string()),
    }),
    ("directories in directories", |directory, _| {
        directory.create_directory_at("d")?;
        *directory = open_directory(directory, "d")?;
        Ok(())
    }),
    ("directories of one file", |root, n| {
        root.create_directory_at(&n.to_string())?;
        create(root, &format!("{n}/f")).map(drop)
    }),
];

fn what_is_charged_is_what_it_takes() {
    const QUOTA: u64 = 8 << 20;
    for (kind, make) in KINDS {
        let before = LIVE.load(Ordering::Relaxed);
        let (files, root) = file_system(QUOTA);
        let mut place = root.clone();
        let error = (0..).find_map(|n| make(&mut place, n).err());
        assert_eq!(error, Some(Error::NoSpace), "{kind}");
        let taken = LIVE.load(Ordering::Relaxed) - before;
        let charged = files.usage().0;
        // To within the tree of the pages: some 50 bytes for each.
        assert!(taken as u64 <= charged + charged / 64, "{kind}: {taken} bytes taken, {charged} charged");
        drop((files, root, place));
        assert_eq!(LIVE.load(Ordering::Relaxed), before, "{kind}");
    }
}

fn an_exhausted_heap_is_an_error() {
    let (_files, root) = file_system(u64::MAX);
    let mut open = Vec::with_capacity(1_000_000);
    let mut file = create(&root, "f").unwrap();
    root.create_directory_at("d").unwrap();
    let path = "d/../".repeat(700);
    LIMIT.store(LIVE.load(Ordering::Relaxed) + (16 << 20), Ordering::Relaxed);
    let page = [1; 4096];
    let full = (0..1_000_000).find_map(|_| file.write(&page).err());
    let opened = (0..1_000_000).find_map(|n| match create(&root, &format!("{path}{n}")) {
        Ok(file) => {
            open.push(file);
            None
        }
        Err(error) => Some(error),
    });
    let made = (0..1_000_000).find_map(|n| root.create_directory_at(&format!("e{n}")).err());
    LIMIT.store(usize::MAX, Ordering::Relaxed);
    assert_eq!([full, opened, made], [Some(Error::NoMemory); 3]);
    drop(file);
    root.unlink_file_at("f").unwrap();
    drop(open);
    assert!(create(&root, "f").is_ok());
}

/// One after the other: they count every byte of the process.
#[test]
fn the_heap() {
    a_thousand_runs_leave_nothing();
    what_is_charged_is_what_it_takes();
    an_exhausted_heap_is_an_error();
}
