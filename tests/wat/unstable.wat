;; A program of wasi_unstable: 56 bytes of filestat, whence counted from CUR, a clock subscription of 56 bytes.
;; It prints a Y or an N for each check, and a newline.
(module
  (import "wasi_unstable" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_tell" (func $fd_tell (param i32 i32) (result i32)))
  (import "wasi_unstable" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
  (import "wasi_unstable" "path_filestat_get"
    (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "path_unlink_file" (func $path_unlink_file (param i32 i32 i32) (result i32)))
  (import "wasi_unstable" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_unstable" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "file")
  (data (i32.const 16) "0123456789")
  ;; 32: an iovec. 64: results. 80: a count. 100: the answer. 128: a filestat with a guard. 256: a subscription. 512: an event.
  (func $say (param $ok i32)
    (i32.store8 (i32.const 100) (select (i32.const 0x59) (i32.const 0x4e) (local.get $ok)))
    (call $write (i32.const 1) (i32.const 100) (i32.const 1)))
  (func $write (param $fd i32) (param $from i32) (param $len i32)
    (i32.store (i32.const 32) (local.get $from))
    (i32.store (i32.const 36) (local.get $len))
    (if (call $fd_write (local.get $fd) (i32.const 32) (i32.const 1) (i32.const 80)) (then (unreachable))))
  ;; Seeks and compares the new offset.
  (func $seek (param $fd i32) (param $by i64) (param $whence i32) (param $expected i64)
    (call $say (i32.and
      (i32.eqz (call $fd_seek (local.get $fd) (local.get $by) (local.get $whence) (i32.const 64)))
      (i64.eq (i64.load (i32.const 64)) (local.get $expected)))))
  ;; Looks at the filestat at 128: a regular file, one link, ten bytes, times, and nothing written past byte 56.
  (func $filestat
    (call $say (i32.eq (i32.load8_u (i32.const 144)) (i32.const 4)))
    (call $say (i32.eq (i32.load (i32.const 148)) (i32.const 1)))
    (call $say (i64.eq (i64.load (i32.const 152)) (i64.const 10)))
    (call $say (i64.ne (i64.load (i32.const 168)) (i64.const 0)))
    (call $say (i64.ne (i64.load (i32.const 176)) (i64.const 0)))
    (call $say (i64.eq (i64.load (i32.const 184)) (i64.const 0x5a5a5a5a5a5a5a5a))))
  (func (export "_start") (local $fd i32)
    (call $say (i32.eqz (call $args_sizes_get (i32.const 64) (i32.const 68))))
    (call $say (i32.eq (i32.load (i32.const 64)) (i32.const 1)))
    (call $say (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)
      (i64.const 0x200066) (i64.const 0) (i32.const 0) (i32.const 64))))
    (local.set $fd (i32.load (i32.const 64)))
    (call $write (local.get $fd) (i32.const 16) (i32.const 10))
    (call $seek (local.get $fd) (i64.const 4) (i32.const 2) (i64.const 4)) ;; SET
    (call $seek (local.get $fd) (i64.const 3) (i32.const 0) (i64.const 7)) ;; CUR
    (call $seek (local.get $fd) (i64.const -1) (i32.const 1) (i64.const 9)) ;; END
    (call $say (i32.eq (call $fd_seek (local.get $fd) (i64.const 0) (i32.const 3) (i32.const 64)) (i32.const 28)))
    (call $say (i32.eqz (call $fd_tell (local.get $fd) (i32.const 64))))
    (call $say (i64.eq (i64.load (i32.const 64)) (i64.const 9)))
    (i64.store (i32.const 184) (i64.const 0x5a5a5a5a5a5a5a5a))
    (call $say (i32.eqz (call $fd_filestat_get (local.get $fd) (i32.const 128))))
    (call $filestat)
    (memory.fill (i32.const 128) (i32.const 0) (i32.const 56))
    (call $say (i32.eqz
      (call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 128))))
    (call $filestat)
    (call $say (i32.eqz (call $path_unlink_file (i32.const 3) (i32.const 0) (i32.const 4))))
    ;; userdata 77; tag clock; an identifier that nobody reads; the monotonic clock, one millisecond.
    (i64.store (i32.const 256) (i64.const 77))
    (i64.store (i32.const 272) (i64.const -1))
    (i32.store (i32.const 280) (i32.const 1))
    (i64.store (i32.const 288) (i64.const 1000000))
    (call $say (i32.eqz (call $poll_oneoff (i32.const 256) (i32.const 512) (i32.const 1) (i32.const 64))))
    (call $say (i32.eq (i32.load (i32.const 64)) (i32.const 1)))
    (call $say (i64.eq (i64.load (i32.const 512)) (i64.const 77)))
    (call $say (i32.eqz (i32.load16_u (i32.const 520))))
    (i32.store8 (i32.const 100) (i32.const 10))
    (call $write (i32.const 1) (i32.const 100) (i32.const 1))
    (call $proc_exit (i32.const 9))))
