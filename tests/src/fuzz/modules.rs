//! Modules: any bytes, programs of which some bytes have been changed, and programs of which it is known how they end.
//!
//! What must hold: [`Program::new`] refuses the module or compiles it, and says why in words that are not empty; what
//! compiles either cannot start, or runs to an [`Outcome`] within the tiny limits that it is given; and a program that is
//! right ends as it should, preempted or not.

use super::{
    changed,
    machine::{StepClock, machine, run as run_guest},
    programs,
};
use arbitrary::Unstructured;
use std::{sync::LazyLock, time::Duration};
use wasi::{Command, Engine, Limits, Outcome, Program};

/// Bytes of linear memory that a module may have.
const MEMORY: u64 = 16 << 16;

/// Programs to change: imports, a start function, tables and data, tail calls, growing, several memories, SIMD.
const SEEDS: [&str; 5] = [
    r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1 4) (data (i32.const 0) "\10\00\00\00\04\00\00\00")
        (func (export "_start")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (drop (memory.grow (i32.const 1)))
            (call $exit (i32.const 3))))"#,
    r#"(module
        (import "wasi_unstable" "random_get" (func $random (param i32 i32) (result i32)))
        (type $unary (func (param i32) (result i32)))
        (table $t 2 10 funcref) (elem (i32.const 0) $double $again)
        (memory (export "memory") 1) (global $g (mut i64) (i64.const 7))
        (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
        (func $again (type $unary) (call_indirect $t (type $unary) (local.get 0) (i32.const 0)))
        (func $init (drop (table.grow $t (ref.null func) (i32.const 3))) (drop (call $random (i32.const 8) (i32.const 8))))
        (start $init)
        (func (export "_start") (drop (call_indirect $t (type $unary) (i32.const 5) (i32.const 1)))))"#,
    r#"(module
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func $tail (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (return_call $tail (i32.sub (local.get 0) (i32.const 1))))
                (else (return_call $yield))))
        (func (export "_start") (drop (call $tail (i32.const 9)))))"#,
    r#"(module
        (memory $a (export "memory") 0 2) (memory $b 1) (data $d "passive")
        (func $deep (param i32) (local i64 f64 v128)
            (block $out (br_table 0 $out (local.get 0)))
            (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "_initialize")
            (memory.init $b $d (i32.const 0) (i32.const 0) (i32.const 7)) (data.drop $d)
            (memory.copy $b $b (i32.const 8) (i32.const 0) (i32.const 7))
            (loop $l (br_if $l (i32.eqz (memory.grow $a (i32.const 1)))))
            (call $deep (i32.const 50))))"#,
    r#"(module (memory (export "memory") 1)
        (func (export "_start") (local v128 f32)
            (local.set 0 (i8x16.add (v128.load (i32.const 0)) (v128.const i32x4 1 2 3 4)))
            (v128.store (i32.const 65520) (local.get 0))
            (local.set 1 (f32.sqrt (f32.convert_i32_s (i32.load8_s (i32.const 65535)))))
            (drop (i32.div_s (i32.trunc_sat_f32_s (local.get 1)) (i32.load (i32.const 100))))))"#,
];

static BINARIES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| SEEDS.iter().map(|wat| wat::parse_str(wat).expect("a seed is a module")).collect());

/// Runs the target on `data`: a byte that chooses what is loaded, and the module or what changes or makes it.
pub fn run(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    match (BINARIES.get(usize::from(choice)), choice) {
        (Some(seed), _) => load(&changed(seed, &mut Unstructured::new(rest)), None),
        (None, 0x80..) => {
            let (wasm, status) =
                programs::program(&mut Unstructured::new(rest)).expect("what the input does not say is 0");
            load(&wasm, Some(status));
        }
        (None, _) => load(rest, None),
    }
}

/// Loads a module and runs it twice; with `status`, it has to end with that.
fn load(wasm: &[u8], status: Option<u32>) {
    let program = match Program::new(&Engine::new().stack(200, 64 << 10), wasm) {
        Ok(program) => program,
        Err(refusal) => {
            assert!(status.is_none(), "{refusal}");
            return assert!(!refusal.to_string().is_empty());
        }
    };
    let clock = StepClock::new();
    let machine = machine(clock.clone());
    let limits = Limits::default()
        .with_memory(MEMORY)
        .with_table_elements(100)
        .with_fuel(20_000)
        .with_time(Duration::from_secs(1));
    for slices in [None, Some(50)] {
        let mut command = Command::new("fuzz").limits(limits);
        if let Some(fuel) = slices {
            command = command.slice_fuel(fuel);
        }
        match program.start(&machine, command) {
            Ok(guest) => {
                let outcome = run_guest(&clock, guest);
                assert!(
                    status.is_none_or(|status| outcome == Outcome::Exited(status)),
                    "{outcome}, not {status:?}"
                );
            }
            Err(error) => assert!(status.is_none() && !error.to_string().is_empty(), "{error}"),
        }
    }
}
