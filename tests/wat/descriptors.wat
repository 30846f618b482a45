;; Opens its directory up to 100,000 times: all of them are had, or the last is refused with MFILE (33). Then it closes them
;; all and opens one more. Exits with the number of the check that failed.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) ".")
  (func $require (param $check i32) (param $ok i32)
    (if (i32.eqz (local.get $ok)) (then (call $proc_exit (local.get $check)))))
  (func $open (result i32)
    (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)
      (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 8)))
  (func (export "_start") (local $n i32) (local $errno i32)
    (loop $more
      (local.set $errno (call $open))
      (if (i32.eqz (local.get $errno))
        (then
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $n) (i32.const 100000))))))
    (call $require (i32.const 1) (i32.or (i32.eqz (local.get $errno)) (i32.eq (local.get $errno) (i32.const 33))))
    (call $require (i32.const 2) (i32.gt_u (local.get $n) (i32.const 1000)))
    (local.set $n (i32.add (local.get $n) (i32.const 3)))
    (loop $less
      (call $require (i32.const 3) (i32.eqz (call $fd_close (local.get $n))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $less (i32.gt_u (local.get $n) (i32.const 3))))
    (call $require (i32.const 4) (i32.eqz (call $open)))))
