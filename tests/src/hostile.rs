//! [`sweep`]: a guest that calls every function of preview 1 with whatever is at and past the edges, thousands of times.
//!
//! What each call returns is not looked at here (the unit tests of `wasi::preview1` do): only that the guest is still
//! there afterwards, and the machine too.

use std::fmt::Write;

/// What a parameter is, as far as the sweep goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameter {
    /// A descriptor: the preopen, or none. Never stdio: the guest reports on it.
    Fd,
    /// An address, a length, flags or a number.
    I32,
    /// An offset, a time or rights.
    I64,
}
use Parameter::{Fd, I32, I64};

/// Every function of `wasi_snapshot_preview1` with its parameters; `poll_oneoff` first, while memory is as it was made.
const FUNCTIONS: [(&str, &[Parameter]); 46] = [
    ("poll_oneoff", &[I32, I32, I32, I32]),
    ("args_get", &[I32, I32]),
    ("args_sizes_get", &[I32, I32]),
    ("environ_get", &[I32, I32]),
    ("environ_sizes_get", &[I32, I32]),
    ("clock_res_get", &[I32, I32]),
    ("clock_time_get", &[I32, I64, I32]),
    ("fd_advise", &[Fd, I64, I64, I32]),
    ("fd_allocate", &[Fd, I64, I64]),
    ("fd_datasync", &[Fd]),
    ("fd_fdstat_get", &[Fd, I32]),
    ("fd_fdstat_set_flags", &[Fd, I32]),
    ("fd_filestat_get", &[Fd, I32]),
    ("fd_filestat_set_size", &[Fd, I64]),
    ("fd_filestat_set_times", &[Fd, I64, I64, I32]),
    ("fd_pread", &[Fd, I32, I32, I64, I32]),
    ("fd_prestat_dir_name", &[Fd, I32, I32]),
    ("fd_prestat_get", &[Fd, I32]),
    ("fd_pwrite", &[Fd, I32, I32, I64, I32]),
    ("fd_read", &[Fd, I32, I32, I32]),
    ("fd_readdir", &[Fd, I32, I32, I64, I32]),
    ("fd_seek", &[Fd, I64, I32, I32]),
    ("fd_sync", &[Fd]),
    ("fd_tell", &[Fd, I32]),
    ("fd_write", &[Fd, I32, I32, I32]),
    ("path_create_directory", &[Fd, I32, I32]),
    ("path_filestat_get", &[Fd, I32, I32, I32, I32]),
    ("path_filestat_set_times", &[Fd, I32, I32, I32, I64, I64, I32]),
    ("path_link", &[Fd, I32, I32, I32, Fd, I32, I32]),
    ("path_open", &[Fd, I32, I32, I32, I32, I64, I64, I32, I32]),
    ("path_readlink", &[Fd, I32, I32, I32, I32, I32]),
    ("path_remove_directory", &[Fd, I32, I32]),
    ("path_rename", &[Fd, I32, I32, Fd, I32, I32]),
    ("path_symlink", &[I32, I32, Fd, I32, I32]),
    ("path_unlink_file", &[Fd, I32, I32]),
    ("proc_raise", &[I32]),
    ("random_get", &[I32, I32]),
    ("sched_yield", &[]),
    ("sock_accept", &[Fd, I32, I32]),
    ("sock_recv", &[Fd, I32, I32, I32, I32, I32]),
    ("sock_send", &[Fd, I32, I32, I32, I32]),
    ("sock_shutdown", &[Fd, I32]),
    ("fd_fdstat_set_rights", &[Fd, I64, I64]),
    ("fd_renumber", &[Fd, Fd]),
    ("fd_close", &[Fd]),
    ("proc_exit", &[I32]),
];

/// The descriptors: the preopen, and three that are not open.
const FDS: [u32; 4] = [3, 100_000, 0x8000_0000, u32::MAX];
/// The other numbers: small ones, odd ones, at the end of the one page of memory, past it, and at the ends of the type.
const NUMBERS: [u32; 16] = [
    0,
    1,
    2,
    7,
    8,
    255,
    4097,
    65_472,
    65_528,
    65_535,
    65_536,
    65_537,
    0x4000_0000,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
];
/// The wide ones.
const WIDE: [u64; 8] = [0, 1, 64, 1 << 31, 1 << 32, 0x7fff_ffff_ffff_ffff, 1 << 63, u64::MAX];

/// The WebAssembly text of a guest that makes `calls` calls of each function and then prints `survived`.
pub fn sweep(calls: u32) -> String {
    let mut text = String::from("(module\n");
    for (name, parameters) in FUNCTIONS {
        let types = parameters.iter().map(|parameter| if *parameter == I64 { " i64" } else { " i32" });
        let result = if name == "proc_exit" { "" } else { "(result i32)" };
        let _ = writeln!(
            text,
            r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param{}) {result}))"#,
            types.collect::<String>()
        );
    }
    text += r#"(memory (export "memory") 1 1)
        (global $random (mut i32) (i32.const 0x2545f491))
        (func $next (param $below i32) (result i32)
          (global.set $random (i32.xor (global.get $random) (i32.shl (global.get $random) (i32.const 13))))
          (global.set $random (i32.xor (global.get $random) (i32.shr_u (global.get $random) (i32.const 17))))
          (global.set $random (i32.xor (global.get $random) (i32.shl (global.get $random) (i32.const 5))))
          (i32.rem_u (global.get $random) (local.get $below)))
    "#;
    pick(&mut text, "fd", "i32", &FDS.map(u64::from));
    pick(&mut text, "number", "i32", &NUMBERS.map(u64::from));
    pick(&mut text, "wide", "i64", &WIDE);
    text += r#"(func (export "_start") (local $left i32)"#;
    for (name, parameters) in FUNCTIONS {
        if name == "proc_exit" {
            continue;
        }
        let arguments = parameters.iter().map(|parameter| match parameter {
            Fd => " (call $fd)",
            I32 => " (call $number)",
            I64 => " (call $wide)",
        });
        // A subscription of zeros is to a clock that has rung; one of other bytes might wait for ever. Other
        // functions find `a` everywhere: names that exist, iovecs that lead nowhere.
        let fill = if name == "poll_oneoff" { 0 } else { 0x61 };
        let _ = writeln!(
            text,
            "(local.set $left (i32.const {calls}))
            (loop $again
              (memory.fill (i32.const 0) (i32.const {fill}) (i32.const 65536))
              (drop (call ${name}{}))
              (local.set $left (i32.sub (local.get $left) (i32.const 1)))
              (br_if $again (local.get $left)))",
            arguments.collect::<String>()
        );
    }
    text += r#"(i64.store (i32.const 0) (i64.const 0x0000000900000008))
        (i64.store (i32.const 8) (i64.const 0x6465766976727573))
        (i32.store8 (i32.const 16) (i32.const 10))
        (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 24)) (then (unreachable)))
        (call $proc_exit (i32.const 0))))"#;
    text
}

/// A function that gives one of `values` at random.
fn pick(text: &mut String, name: &str, ty: &str, values: &[u64]) {
    let _ = writeln!(text, "(func ${name} (result {ty}) (local $index i32)");
    let _ = writeln!(text, "(local.set $index (call $next (i32.const {})))", values.len());
    for (index, value) in values.iter().enumerate() {
        let _ = writeln!(
            text,
            "(if (i32.eq (local.get $index) (i32.const {index})) (then (return ({ty}.const {value}))))"
        );
    }
    *text += "(unreachable))\n";
}
