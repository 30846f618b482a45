//! With the feature `lazy-zero`, a run touches only the memory that the program does. Alone in its process, because it
//! watches what that has resident.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use wasi::{Command, Engine, Program, hosted};

/// Grows a memory of 16 MiB to 32 MiB, writes into both halves and at the end, and traps unless all else reads as zero.
const PROGRAM: &str = r#"(module
    (memory (export "memory") 256)
    (func (export "_start") (local $at i32)
        (if (i32.ne (memory.grow (i32.const 256)) (i32.const 256)) (then (unreachable)))
        (loop $look
            (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (unreachable)))
            (local.set $at (i32.add (local.get $at) (i32.const 0x1000)))
            (br_if $look (i32.lt_u (local.get $at) (i32.const 0x2000000))))
        (i32.store (i32.const 0x100000) (i32.const -1))
        (i32.store (i32.const 0x1fff000) (i32.const -1))
        ;; Zeroing by the program itself is done, though it looks like wasmi's.
        (memory.fill (i32.const 0x100000) (i32.const 0) (i32.const 0x100000))
        (if (i32.load (i32.const 0x100000)) (then (unreachable)))
        (i32.store (i32.const 0x100000) (i32.const -1))))"#;

/// The process's largest resident size so far that was not shared, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_that_is_not_used_is_not_touched_and_what_was_used_is_zero_for_the_next() {
    let program = Program::new(&Engine::new(), &wat::parse_str(PROGRAM).unwrap()).unwrap();
    let machine = hosted::machine();
    let before = resident();
    let mut runs: Vec<_> =
        (0..10).map(|_| Box::pin(program.start(&machine, Command::new("sparse")).unwrap())).collect();
    // All live at once: zeroing by hand would touch 160 MiB here, and as much again in the runs.
    assert!(resident() - before < 16 << 10, "{} KiB", resident() - before);
    for run in runs.drain(..) {
        let outcome = hosted::block_on(run);
        assert!(outcome.success(), "{outcome}");
    }
    for _ in 0..20 {
        let outcome = hosted::block_on(program.start(&machine, Command::new("sparse")).unwrap());
        assert!(outcome.success(), "{outcome}");
    }
    assert!(resident() - before < 16 << 10, "{} KiB after the runs", resident() - before);
}
