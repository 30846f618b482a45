;; Grows a table within its limit, with a count on both sides of each growth: a host that loses its place there counts wrong.
;; Exits with the count of what was begun, times 16, and of what was done.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (table $table 0 funcref)
  (global $begun (mut i32) (i32.const 0))
  (global $done (mut i32) (i32.const 0))
  (func $once
    (global.set $begun (i32.add (global.get $begun) (i32.const 1)))
    (drop (table.grow $table (ref.null func) (i32.const 100000)))
    (global.set $done (i32.add (global.get $done) (i32.const 1))))
  (func (export "_start")
    (call $once)
    (call $once)
    (call $once)
    (if (i32.ne (table.size $table) (i32.const 300000)) (then (call $proc_exit (i32.const 1))))
    (call $proc_exit (i32.add (i32.mul (global.get $begun) (i32.const 16)) (global.get $done)))))
