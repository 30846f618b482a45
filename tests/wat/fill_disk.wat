;; Writes 64 KiB at a time until there is no space left (51), then removes the file and writes again. Exits with the number of
;; the check that failed.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "f")
  (data (i32.const 8) "\00\00\01\00\00\00\01\00")
  (func $require (param $check i32) (param $ok i32)
    (if (i32.eqz (local.get $ok)) (then (call $proc_exit (local.get $check)))))
  (func $open (result i32)
    (call $require (i32.const 1) (i32.eqz
      (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1)
        (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16))))
    (i32.load (i32.const 16)))
  (func (export "_start") (local $fd i32) (local $errno i32) (local $n i32)
    (memory.fill (i32.const 65536) (i32.const 0x5a) (i32.const 65536))
    (local.set $fd (call $open))
    (loop $more
      (local.set $errno (call $fd_write (local.get $fd) (i32.const 8) (i32.const 1) (i32.const 16)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $more (i32.and (i32.eqz (local.get $errno)) (i32.lt_u (local.get $n) (i32.const 100000)))))
    (call $require (i32.const 2) (i32.eq (local.get $errno) (i32.const 51)))
    (call $require (i32.const 3) (i32.gt_u (local.get $n) (i32.const 100)))
    (call $require (i32.const 4) (i32.eqz (call $unlink (i32.const 3) (i32.const 0) (i32.const 1))))
    (call $require (i32.const 5) (i32.eqz (call $fd_close (local.get $fd))))
    (local.set $fd (call $open))
    (call $require (i32.const 6)
      (i32.eqz (call $fd_write (local.get $fd) (i32.const 8) (i32.const 1) (i32.const 16))))
    (call $require (i32.const 7) (i32.eqz (call $unlink (i32.const 3) (i32.const 0) (i32.const 1))))))
