//! What runs and programs leave on the heap: nothing. Alone in its process, because it counts every byte.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};
use wasi::{Command, Engine, Machine, Outcome, Program, hosted, io::pipe};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all is passed on to the system's allocator; counting changes nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

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

#[test]
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
    // Once for what is made on first use: lazily compiled functions, the thread of the timers.
    rounds(1);
    let before = LIVE.load(Ordering::Relaxed);
    rounds(250);
    assert_eq!(LIVE.load(Ordering::Relaxed), before);
    for _ in 0..20 {
        let program = Program::new(&engine, &wasm).unwrap();
        round(&program, &mapped);
    }
    assert_eq!(LIVE.load(Ordering::Relaxed), before);
}
