//! Programs that take all the memory that they can get, and then need more: of each kind that the machine has to give. They
//! run alone through `sisal run --ram 32M` (tests/tests/exhaustion.rs), and inside the kernel's own tests beside each other.

use crate::case::Ending;

/// A program, and how it ends on a machine with 32 MiB.
pub struct Exhausting {
    /// Its name.
    pub name: &'static str,
    /// The program.
    pub wat: String,
    /// The directories in memory that it is to have, by their names in the guest.
    pub directories: &'static [&'static str],
    /// How it ends.
    pub ending: Ending,
}

/// errno: out of memory.
const NOMEM: u32 = 48;
/// errno: no space left on the device.
const NOSPC: u32 = 51;

/// Takes all the linear memory that there is; traps if that is less than 4 MiB.
const TAKE_ALL: &str = "(loop $large (br_if $large (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (loop $small (br_if $small (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (if (i32.lt_u (memory.size) (i32.const 64)) (then (unreachable)))";

/// Waits for a millisecond: when that has passed, the program has a turn of its own, for which there must be memory.
const WAIT: &str =
    "(i32.store (i32.const 65552) (i32.const 1)) (i64.store (i32.const 65560) (i64.const 1000000))
    (if (call $poll (i32.const 65536) (i32.const 65600) (i32.const 1) (i32.const 8)) (then (unreachable)))";

/// Opens what has its name at 0 of memory in descriptor 3; the flags are `oflags`. Gives the errno; the descriptor is at 8.
const OPEN: &str = "(func $open (param $len i32) (param $oflags i32) (result i32)
    (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (local.get $len) (local.get $oflags)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))";

/// Writes 16 KiB at a time to the descriptor at 8 until that fails, and gives the errno.
const FILL: &str = "(func $fill (result i32) (local $errno i32)
    (i32.store (i32.const 16) (i32.const 4096)) (i32.store (i32.const 20) (i32.const 16384))
    (loop $more
      (local.set $errno (call $fd_write (i32.load (i32.const 8)) (i32.const 16) (i32.const 1) (i32.const 24)))
      (br_if $more (i32.eqz (local.get $errno))))
    (local.get $errno))";

/// Writes the number `$n` in hexadecimal, 8 digits, at 0.
const NUMBER: &str = "(func $number (param $n i32) (local $at i32)
    (loop $digit
      (i32.store8 (local.get $at) (i32.add (i32.const 97) (i32.and (local.get $n) (i32.const 15))))
      (local.set $n (i32.shr_u (local.get $n) (i32.const 4)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $digit (i32.lt_u (local.get $at) (i32.const 8)))))";

/// A program whose `_start` is `body`.
fn program(body: &str, functions: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open"
          (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 8)
        {functions}
        (func (export "_start") (local $n i32) (local $errno i32) {body}))"#
    )
}

/// What a program does while it holds what it has taken: it says so with a byte, and waits for its input.
const HOLD: &str = "(i32.store (i32.const 20) (i32.const 1))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
    (drop (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))";

/// A function that becomes `copies` times 56 bytes of code.
fn large_function(copies: usize) -> String {
    format!(
        "(func $large (local i64) (drop (block (result i64) (local.get 0) {})))",
        "(br_if 0 (memory.size)) ".repeat(copies)
    )
}

/// A function that is exported so many times.
fn exports(count: usize) -> String {
    let names: String = (0..count).map(|index| format!(r#"(export "{index:04x}" (func $f))"#)).collect();
    format!("(func $f) {names}")
}

/// Programs for the tests inside the kernel: one that waits with all linear memory until its input ends, three that wait first
/// and then need memory that cannot be refused (one of them waits again when it has it), and one that takes all and exits with
/// the errno with which its output fails then.
pub fn inside() -> [(&'static str, String); 5] {
    let deep = format!(
        "(func $deep (param $n i32) (result i32)
           (if (result i32) (local.get $n)
             (then (i32.add (call $deep (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
             (else {HOLD} (i32.const 0))))"
    );
    [
        ("hold_memory", program(&format!("{TAKE_ALL} {HOLD}"), "")),
        ("wait_stack", program(&format!("{HOLD} (drop (call $deep (i32.const 12000)))"), &deep)),
        (
            "wait_recursion",
            program(
                &format!("{HOLD} (call $deep (i64.const 0))"),
                "(func $deep (param i64) (call $deep (local.get 0)))",
            ),
        ),
        ("wait_code", program(&format!("{HOLD} (call $large)"), &large_function(14_000))),
        (
            "fill_pipe",
            program(
                &format!(
                    "{TAKE_ALL} (i32.store (i32.const 8) (i32.const 1)) (local.set $errno (call $fill))
                     {WAIT} (call $exit (local.get $errno))"
                ),
                FILL,
            ),
        ),
    ]
}

/// The programs.
pub fn programs() -> Vec<Exhausting> {
    let ending = |name, body: &str, functions: &str, directories, ending| Exhausting {
        name,
        wat: program(body, functions),
        directories,
        ending,
    };
    let limit = |part: &str| Ending::Limit(part.into());
    let files = format!("{OPEN} {FILL} {NUMBER}");
    let take_all_and = |body: &str| format!("{TAKE_ALL} {body}");
    let one: &[&str] = &["/t"];
    vec![
        ending("linear_memory", &take_all_and(WAIT), "", &[], Ending::Exit(0)),
        ending(
            "linear_memory_trap",
            &take_all_and("(unreachable)"),
            "",
            &[],
            Ending::Trap("the machine's memory (needed for linear memory)".into()),
        ),
        ending(
            "file_data",
            &take_all_and("(i32.store8 (i32.const 0) (i32.const 102))
                 (if (call $open (i32.const 1) (i32.const 1)) (then (unreachable))) (call $exit (call $fill))"),
            &files,
            one,
            Ending::Exit(NOMEM),
        ),
        // Its memory leaves too little for what wasmi allocates for each function.
        Exhausting {
            name: "large_instance",
            wat: format!(
                r#"(module (memory (export "memory") 150) (func (export "_start")) {})"#,
                "(func)".repeat(100_000)
            ),
            directories: &[],
            ending: limit("needed for an instance of the program"),
        },
        // Before the memory is at its end, the directories' quotas are: together half of it.
        ending(
            "file_quota",
            "(i32.store8 (i32.const 0) (i32.const 102))
             (if (call $open (i32.const 1) (i32.const 1)) (then (unreachable))) (local.set $errno (call $fill))
             (if (call $path_open (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1)
                 (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)) (then (unreachable)))
             (if (i32.ne (call $fill) (local.get $errno)) (then (unreachable)))
             (call $exit (local.get $errno))",
            &files,
            &["/a", "/b"],
            Ending::Exit(NOSPC),
        ),
        ending(
            "directory_entries",
            &take_all_and(
                "(loop $more
                   (call $number (local.get $n))
                   (local.set $n (i32.add (local.get $n) (i32.const 1)))
                   (local.set $errno (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 1)
                     (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))
                   (br_if $more (i32.eqz (local.tee $errno
                     (if (result i32) (local.get $errno)
                       (then (local.get $errno))
                       (else (call $fd_close (i32.load (i32.const 8)))))))))
                 (call $exit (local.get $errno))",
            ),
            &files,
            one,
            Ending::Exit(NOMEM),
        ),
        ending(
            "descriptors",
            &take_all_and(
                "(i32.store8 (i32.const 0) (i32.const 46))
                 (loop $more
                   (local.set $errno (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)
                     (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 8)))
                   (br_if $more (i32.eqz (local.get $errno))))
                 (call $exit (local.get $errno))",
            ),
            "",
            one,
            Ending::Exit(NOMEM),
        ),
        // 4,096 subscriptions of 48 bytes, all of a clock, all zero: they have happened.
        ending(
            "subscriptions",
            &take_all_and("(call $exit (call $poll (i32.const 65536) (i32.const 300000) (i32.const 4096) (i32.const 8)))"),
            "",
            &[],
            Ending::Exit(NOMEM),
        ),
        // Listing what is there takes little.
        ending(
            "listing",
            &format!(
                "(loop $more
                   (call $number (local.get $n))
                   (if (call $open (i32.const 8) (i32.const 1)) (then (unreachable)))
                   (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 500))))
                 {TAKE_ALL}
                 (call $exit (call $fd_readdir (i32.const 3) (i32.const 65536) (i32.const 65536) (i64.const 0) (i32.const 8)))"
            ),
            &files,
            one,
            Ending::Exit(0),
        ),
        ending(
            "recursion",
            &take_all_and("(call $deep (i64.const 0))"),
            "(func $deep (param i64) (call $deep (local.get 0)))",
            &[],
            limit("the limit of the stack"),
        ),
        // It is translated before it begins.
        ending("code", &take_all_and("(call $large)"), &large_function(40_000), &[], Ending::Exit(0)),
        ending("large_code", "(call $large)", &large_function(120_000), &[], limit("the program's code")),
        ending(
            "module",
            "",
            &"(func) ".repeat(150_000),
            &[],
            Ending::Refused("compiling the program takes up to".into()),
        ),
        // Its names are in the module once, and once more in each instance.
        ending("instance", "", &exports(43_000), &[], limit("an instance of the program")),
        ending(
            "table",
            &take_all_and("(loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 7)) (i32.const -1))))"),
            "(table 0 funcref)",
            &[],
            Ending::Exit(0),
        ),
        ending(
            "table_at_start",
            "",
            "(table 3000000 funcref)",
            &[],
            limit("the machine's memory (needed for a table)"),
        ),
    ]
}
