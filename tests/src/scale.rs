//! The guests of the kernel's tests `scale` (kernel/src/selftest/scale): some that end in each way there is, some that sleep,
//! compute and talk through pipes, and some that keep the processor as busy as they can.

/// What all of them import and have in memory: 2 pages, grown on demand; a directory's path `.` at 0, an iovec at 16 that the
/// functions `read` and `write` set, and the number of bytes that were moved at 24.
const PRELUDE: &str = r#"
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_allocate" (func $fd_allocate (param i32 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $set_size (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
    (memory (export "memory") 2)
    (table $table 1 funcref)
    (data (i32.const 0) ".f")
    (func $require (param $ok i32) (if (i32.eqz (local.get $ok)) (then unreachable)))
    (func $succeed (param $errno i32) (if (local.get $errno) (then (call $exit (local.get $errno)))))
    (func $vector (param $at i32) (param $len i32)
        (i32.store (i32.const 16) (local.get $at))
        (i32.store (i32.const 20) (local.get $len)))
    ;; The number of bytes read from stdin: at the end, 0.
    (func $read (param $at i32) (param $len i32) (result i32)
        (call $vector (local.get $at) (local.get $len))
        (call $succeed (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))
        (i32.load (i32.const 24)))
    ;; All of it to stdout.
    (func $write (param $at i32) (param $len i32)
        (loop $more
            (call $vector (local.get $at) (local.get $len))
            (call $succeed (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
            (local.set $at (i32.add (local.get $at) (i32.load (i32.const 24))))
            (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 24))))
            (br_if $more (local.get $len))))
    ;; The number that is on stdin.
    (func $parameter (result i32)
        (call $require (i32.eq (call $read (i32.const 32) (i32.const 4)) (i32.const 4)))
        (i32.load (i32.const 32)))
    (func $now (result i64)
        (call $succeed (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 40)))
        (i64.load (i32.const 40)))
    ;; A subscription of 48 bytes at 64 for the monotonic clock, its event at 112.
    (func $sleep (param $nanoseconds i64)
        (i32.store (i32.const 80) (i32.const 1))
        (i64.store (i32.const 88) (local.get $nanoseconds))
        (call $succeed (call $poll (i32.const 64) (i32.const 112) (i32.const 1) (i32.const 24))))
    (func $grow_to (param $pages i32)
        (call $require (i32.ne (i32.const -1)
            (memory.grow (i32.sub (local.get $pages) (memory.size))))))
    ;; Opens the file `f` to read and write.
    (func $open (result i32)
        (call $succeed (call $path_open (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 1)
            (i64.const 0x4001c6) (i64.const 0) (i32.const 0) (i32.const 24)))
        (i32.load (i32.const 24)))
    (func $random (param $seed i32) (result i32)
        (i32.add (i32.mul (local.get $seed) (i32.const 1664525)) (i32.const 1013904223)))
    ;; Nested calls, `depth` of them.
    (func $nest (param $depth i32) (result i32)
        (if (result i32) (i32.eqz (local.get $depth))
            (then (i32.const 0))
            (else (i32.add (i32.const 1) (call $nest (i32.sub (local.get $depth) (i32.const 1)))))))
"#;

/// The bodies of `_start`, by the name of the guest.
const BODIES: [(&str, &str); 34] = [
    // Those that end.
    ("nothing", ""),
    ("hello", "(i32.store (i32.const 32) (i32.const 0x0a216948)) (call $write (i32.const 32) (i32.const 4))"),
    ("exit", "(call $exit (i32.const 7))"),
    ("unreachable", "unreachable"),
    ("bounds", "(drop (i64.load (i32.const 131065)))"),
    ("divide", "(drop (i32.div_s (i32.const 1) (i32.load (i32.const 8))))"),
    ("convert", "(drop (i32.trunc_f64_s (f64.const 1e10)))"),
    ("indirect", "(call_indirect $table (i32.const 0))"),
    ("recursion", "(drop (call $nest (i32.const -1)))"),
    // Each against a limit.
    ("endless", "(loop $again (br $again))"),
    ("memory", "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable"),
    (
        "table",
        "(loop $again (br_if $again (i32.ne (table.grow $table (ref.null func) (i32.const 4)) (i32.const -1)))) unreachable",
    ),
    ("output", "(loop $again (call $write (i32.const 0) (i32.const 100)) (br $again))"),
    (
        "descriptors",
        "(loop $again
            (call $succeed (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)
                (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 24)))
            (br $again))",
    ),
    (
        "disk",
        "(local $fd i32) (local $at i64)
        (local.set $fd (call $open))
        (call $vector (i32.const 0) (i32.const 16384))
        (loop $again
            (call $succeed
                (call $fd_pwrite (local.get $fd) (i32.const 16) (i32.const 1) (local.get $at) (i32.const 24)))
            (local.set $at (i64.add (local.get $at) (i64.load32_u (i32.const 24))))
            (br $again))",
    ),
    // Those that wait for ever.
    ("wait", "(drop (call $read (i32.const 32) (i32.const 1)))"),
    ("sleep", "(call $sleep (i64.const 3600000000000))"),
    // Those that work: the parameter says how much.
    (
        // Sleeps this many milliseconds, again and again, ten times.
        "sleeper",
        "(local $nap i64) (local $left i32) (local $before i64)
        (local.set $nap (i64.mul (i64.extend_i32_u (call $parameter)) (i64.const 1000000)))
        (local.set $left (i32.const 10))
        (loop $again
            (local.set $before (call $now))
            (call $sleep (local.get $nap))
            (call $require (i64.ge_u (i64.sub (call $now) (local.get $before)) (local.get $nap)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))",
    ),
    (
        // Writes this many random bytes.
        "source",
        "(local $left i32) (local $at i32) (local $seed i32)
        (local.set $left (call $parameter))
        (local.set $seed (local.get $left))
        (loop $piece
            (local.set $at (i32.const 0))
            (loop $byte
                (local.set $seed (call $random (local.get $seed)))
                (i32.store8 (i32.add (i32.const 1024) (local.get $at)) (i32.shr_u (local.get $seed) (i32.const 24)))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $byte (i32.and (i32.ne (local.get $left) (i32.const 0))
                    (i32.lt_u (local.get $at) (i32.const 777)))))
            (call $write (i32.const 1024) (local.get $at))
            (br_if $piece (local.get $left)))",
    ),
    (
        // Passes on what it reads.
        "copy",
        "(local $len i32)
        (loop $again
            (if (local.tee $len (call $read (i32.const 1024) (i32.const 1000))) (then
                (call $write (i32.const 1024) (local.get $len))
                (br $again))))",
    ),
    (
        // Reads to the end; then writes the checksum, FNV-1a of 32 bits.
        "sink",
        "(local $len i32) (local $at i32) (local $sum i32)
        (local.set $sum (i32.const 0x811c9dc5))
        (loop $again
            (if (local.tee $len (call $read (i32.const 1024) (i32.const 900))) (then
                (local.set $at (i32.const 1024))
                (local.set $len (i32.add (local.get $len) (local.get $at)))
                (loop $byte
                    (local.set $sum (i32.mul (i32.const 0x01000193)
                        (i32.xor (local.get $sum) (i32.load8_u (local.get $at)))))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $byte (i32.lt_u (local.get $at) (local.get $len))))
                (br $again))))
        (i32.store (i32.const 32) (local.get $sum))
        (call $write (i32.const 32) (i32.const 4))",
    ),
    (
        // Writes the random number that comes after as many others.
        "compute",
        "(local $left i32) (local $seed i32)
        (local.set $left (call $parameter))
        (loop $again
            (local.set $seed (call $random (local.get $seed)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (i32.store (i32.const 32) (local.get $seed))
        (call $write (i32.const 32) (i32.const 4))",
    ),
    (
        // Sleeps 5 ms as many times, and writes for each how many nanoseconds late it woke.
        "punctual",
        "(local $left i32) (local $before i64)
        (local.set $left (call $parameter))
        (loop $again
            (local.set $before (call $now))
            (call $sleep (i64.const 5000000))
            (i64.store (i32.const 48) (i64.sub (i64.sub (call $now) (local.get $before)) (i64.const 5000000)))
            (call $write (i32.const 48) (i32.const 8))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))",
    ),
    // Those that never end and are always busy, each with something else.
    (
        "count",
        "(local $n i64) (loop $again (local.set $n (i64.add (local.get $n) (i64.const 1))) (br $again))",
    ),
    ("nesting", "(loop $again (drop (call $nest (i32.const 20000))) (br $again))"),
    ("growing", "(local $none i32) (loop $again (drop (memory.grow (local.get $none))) (br $again))"),
    (
        "fill",
        "(call $grow_to (i32.const 1000))
        (loop $again (memory.fill (i32.const 65536) (i32.const 1) (i32.const 0x3000000)) (br $again))",
    ),
    (
        "move",
        "(call $grow_to (i32.const 1000))
        (loop $again (memory.copy (i32.const 65537) (i32.const 65536) (i32.const 0x3000000)) (br $again))",
    ),
    (
        "randomize",
        "(call $grow_to (i32.const 260))
        (loop $again (call $succeed (call $random_get (i32.const 65536) (i32.const 0x100000))) (br $again))",
    ),
    (
        "files",
        "(local $fd i32)
        (call $grow_to (i32.const 260))
        (local.set $fd (call $open))
        (loop $again
            (call $vector (i32.const 65536) (i32.const 0x1000000))
            (call $succeed
                (call $fd_pwrite (local.get $fd) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 24)))
            (call $succeed
                (call $fd_pread (local.get $fd) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 24)))
            (br $again))",
    ),
    (
        "list",
        "(call $grow_to (i32.const 260))
        (loop $again
            (call $succeed
                (call $fd_readdir (i32.const 3) (i32.const 65536) (i32.const 0x1000000) (i64.const 0) (i32.const 24)))
            (br $again))",
    ),
    (
        "allocate",
        "(local $fd i32)
        (local.set $fd (call $open))
        (loop $again
            (call $succeed (call $fd_allocate (local.get $fd) (i64.const 0) (i64.const 0x1000000)))
            (call $succeed (call $set_size (local.get $fd) (i64.const 0)))
            (br $again))",
    ),
    (
        // One instruction for all elements, which nothing can cut up.
        "tables",
        "(call $require (i32.ne (i32.const -1) (table.grow $table (ref.null func) (i32.const 999000))))
        (loop $again (table.fill $table (i32.const 0) (ref.null func) (i32.const 999000)) (br $again))",
    ),
    (
        // Computes until it has much fuel for a turn, and then makes calls that take long and cost next to none: of a path of
        // 2,048 components, the last of which is not there.
        "calls",
        "(local $n i32)
        (memory.fill (i32.const 65536) (i32.const 46) (i32.const 4096))
        (loop $slash
            (i32.store8 (i32.add (i32.const 65537) (local.get $n)) (i32.const 47))
            (br_if $slash (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 2))) (i32.const 4096))))
        (i32.store8 (i32.const 69631) (i32.const 120))
        (loop $again
            (local.set $n (i32.const 50000))
            (loop $count (br_if $count (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.set $n (i32.const 400))
            (loop $call
                (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 65536) (i32.const 4096) (i32.const 0)
                    (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 24)))
                (br_if $call (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (br $again))",
    ),
];

/// The guests: their names, and their WebAssembly text.
pub fn guests() -> impl Iterator<Item = (&'static str, String)> {
    BODIES
        .iter()
        .map(|(name, body)| (*name, format!(r#"(module {PRELUDE} (func $start (export "_start") {body}))"#)))
}
