;; memory.grow until it is refused, a page at a time, then by more: refused growth gives -1, changes nothing and leaves all
;; of the memory usable. Exits with the number of the check that failed.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $require (param $check i32) (param $ok i32)
    (if (i32.eqz (local.get $ok)) (then (call $proc_exit (local.get $check)))))
  (func (export "_start") (local $size i32)
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (local.set $size (memory.size))
    ;; 32 MiB.
    (call $require (i32.const 1) (i32.eq (local.get $size) (i32.const 512)))
    (call $require (i32.const 2) (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
    (call $require (i32.const 3) (i32.eq (memory.grow (i32.const 0x8000)) (i32.const -1)))
    (call $require (i32.const 4) (i32.eq (memory.grow (i32.const -1)) (i32.const -1)))
    (call $require (i32.const 5) (i32.eq (memory.grow (i32.const 0)) (local.get $size)))
    (i64.store (i32.sub (i32.mul (local.get $size) (i32.const 65536)) (i32.const 8)) (i64.const 42))
    (call $require (i32.const 6)
      (i64.eq
        (i64.load (i32.sub (i32.mul (local.get $size) (i32.const 65536)) (i32.const 8)))
        (i64.const 42)))
    ;; What was never written is zero.
    (call $require (i32.const 7) (i64.eqz (i64.load (i32.const 20000000))))))
