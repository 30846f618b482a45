//! Programs on a heap that ends, from one with room for nearly nothing to one with room for all: wherever it ends, a program is
//! refused, ends with a message, or runs. wasmi's allocations abort the process when they fail, and so this test.
//!
//! The modules are the worst for wasmi that could be thought of: what makes most of fewest bytes.

mod bounded;

use bounded::{LIMIT, LIVE};
use std::sync::atomic::Ordering;
use wasi::{Command, Engine, Limit, Limits, Machine, Outcome, Program, Refusal, StartError, hosted};

fn available() -> usize {
    LIMIT.load(Ordering::Relaxed).saturating_sub(LIVE.load(Ordering::Relaxed))
}

/// A program that takes all linear memory it can get, and then runs `body`.
fn greedy(body: &str, rest: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1)
            (func (export "_start") (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) {body})
            {rest})"#
    )
}

/// A program with one function of this body, which is called once the memory is taken.
fn function(body: &str) -> String {
    greedy("(call $f)", &format!("(func $f (local $i i32) (local $l i64) (local $d f64) {body})"))
}

/// The programs, by name.
fn programs() -> Vec<(&'static str, String)> {
    let many = |count: usize, text: &str| text.repeat(count);
    let results = many(100, "i32 ");
    let calls: String = (0..2_000).map(|index| format!("(call $f{index})")).collect();
    let functions: String = (0..2_000)
        .map(|index| format!("(func $f{index} (local i32) {})", many(20, "(local.set 0 (memory.size))")))
        .collect();
    let types: String = (0..5_000_u32)
        .map(|index| {
            let params: String =
                (0..13).map(|bit| if index >> bit & 1 == 1 { "i32 " } else { "i64 " }).collect();
            format!("(type (func (param {params})))")
        })
        .collect();
    let exports: String = (0..10_000).map(|index| format!(r#"(export "{index:x}" (func $f))"#)).collect();
    vec![
        ("small", greedy("", "")),
        (
            "br_if",
            function(&format!(
                "(block (result i64) (local.get $l) {}) drop",
                many(20_000, "memory.size br_if 0 ")
            )),
        ),
        (
            "call",
            greedy(
                "(call $f)",
                &format!(
                    "(func $g (param i64 i64 i64 i64)) (func $f {})",
                    many(10_000, "i64.const 1 i64.const 1 i64.const 1 i64.const 1 call $g ")
                ),
            ),
        ),
        (
            "if_else",
            function(&format!(
                "local.get $i {} drop",
                many(20_000, "if (result i32) local.get $i else local.get $i end ")
            )),
        ),
        ("blocks", function(&format!("{} {}", many(20_000, "block "), many(20_000, "end ")))),
        ("loops", function(&many(50_000, "loop end "))),
        ("chain", function(&format!("local.get $d {} drop", many(100_000, "f64.sqrt ")))),
        (
            "br_table",
            function(&format!("(block (block (br_table {} 0 (local.get $i))))", many(50_000, "0 1 "))),
        ),
        (
            "operands",
            function(&format!("{} {}", many(20_000, "local.get $l i64.clz "), many(20_000, "drop "))),
        ),
        ("functions", greedy(&calls, &functions)),
        ("no_code", greedy("", &many(50_000, "(func)"))),
        ("types", greedy("", &types)),
        ("exports", greedy("", &format!("(func $f) {exports}"))),
        ("globals", greedy("", &many(50_000, "(global i32 (i32.const 0))"))),
        (
            "elements",
            greedy("", &format!("(func $f) (table 1 funcref) (elem func {})", many(100_000, "$f "))),
        ),
        ("segments", greedy("", &many(20_000, r#"(data "")"#))),
        ("element_segments", greedy("", &format!("(table 1 funcref) {}", many(20_000, "(elem func)")))),
        ("table", greedy("(drop (table.grow 0 (ref.null func) (i32.const 7)))", "(table 100000 funcref)")),
        (
            "recursion",
            greedy(
                "(call $deep (i64.const 0) (i64.const 0))",
                "(func $deep (param i64 i64) (call $deep (local.get 0) (local.get 1)))",
            ),
        ),
        (
            "values",
            greedy(
                "(call $f)",
                &format!(
                    "(func $f (local i32) (block (result {results}) {} {}) {})",
                    many(100, "local.get 0 "),
                    many(40, "local.get 0 br_if 0 "),
                    many(100, "drop ")
                ),
            ),
        ),
    ]
}

fn machine() -> Machine {
    Machine { memories: None, ..hosted::machine() }
}

/// How it went, in a word.
fn attempt(machine: &Machine, engine: &Engine, wasm: &[u8]) -> &'static str {
    let program = match Program::new(engine, wasm) {
        Ok(program) => program,
        Err(Refusal::Memory(_)) => return "refused",
        Err(refusal) => panic!("{refusal}"),
    };
    let run = match program
        .start(machine, Command::new("test").limits(Limits::unlimited().with_memory(64 << 20)))
    {
        Ok(run) => run,
        Err(StartError::Limit(Limit::MachineMemory(_))) => return "not started",
        Err(error) => panic!("{error}"),
    };
    match hosted::block_on(run) {
        Outcome::Exited(0) => "exited",
        Outcome::LimitReached(Limit::MachineMemory(_)) => "ended",
        Outcome::LimitReached(Limit::Stack) => "stack",
        outcome => {
            drop(Limited);
            panic!("{outcome}")
        }
    }
}

/// Lifts the limit, also when a test fails: the report needs memory.
struct Limited;

impl Drop for Limited {
    fn drop(&mut self) {
        LIMIT.store(usize::MAX, Ordering::Relaxed);
    }
}

fn limited<T>(bytes: usize, run: impl FnOnce() -> T) -> T {
    LIMIT.store(LIVE.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    let _limited = Limited;
    run()
}

fn wherever_the_heap_ends_the_process_goes_on(engine: &Engine) {
    let machine = machine();
    // What stays after the first run, as the thread of the timers.
    attempt(&machine, engine, &wat::parse_str(greedy("", "")).unwrap());
    for (name, text) in programs() {
        let wasm = wat::parse_str(&text).unwrap();
        drop(text);
        let mut ends: Vec<&str> = Vec::with_capacity(100);
        let mut bytes = 256 << 10;
        while bytes < 64 << 20 {
            let before = LIVE.load(Ordering::Relaxed);
            let end = limited(bytes, || attempt(&machine, engine, &wasm));
            assert_eq!(LIVE.load(Ordering::Relaxed), before, "{name} leaves something");
            ends.push(end);
            bytes += bytes / 4;
        }
        println!("{name}: {ends:?}");
        assert_eq!(ends.first(), Some(&"refused"), "{name}");
        assert!(["exited", "stack"].contains(ends.last().unwrap()), "{name}: {ends:?}");
    }
}

fn a_module_that_would_become_gigabytes_is_refused(engine: &Engine) {
    let results = "i32 ".repeat(1_000);
    let text = greedy(
        "(call $f)",
        &format!(
            "(func $f (local i32) (block (result {results}) {} {}) {})",
            "local.get 0 ".repeat(1_000),
            "local.get 0 br_if 0 ".repeat(50_000),
            "drop ".repeat(1_000)
        ),
    );
    let wasm = wat::parse_str(text).unwrap();
    let refusal = Program::new(engine, &wasm).err().unwrap();
    assert!(matches!(&refusal, Refusal::TooLarge(why) if why.contains("MiB")), "{refusal}");
}

/// One after the other: they limit the heap of the process.
#[test]
fn the_end_of_the_heap() {
    let engine = Engine::new().stack(8_192, 256 << 10);
    a_module_that_would_become_gigabytes_is_refused(&engine);
    wasi::heap::set_available(available);
    a_module_that_would_become_gigabytes_is_refused(&engine);
    wherever_the_heap_ends_the_process_goes_on(&engine);
}
