;; table.grow until it is refused. Exits with 1 if that never happens.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (table $table 0 funcref)
  (func (export "_start") (local $n i32)
    (loop $more
      (if (i32.eq (table.grow $table (ref.null func) (i32.const 0x1000000)) (i32.const -1)) (then (return)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $n) (i32.const 256))))
    (call $proc_exit (i32.const 1))))
