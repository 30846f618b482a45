;; A start function runs before _start, and may call WASI and wait.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "start\n_start\n")
  (data (i32.const 32) "\00\00\00\00\06\00\00\00\06\00\00\00\07\00\00\00")
  (data (i32.const 64) "\80\00\00\00\10\00\00\00")
  (func $start
    (drop (call $sched_yield))
    (drop (call $fd_read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 100)))
    (drop (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 104))))
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 40) (i32.const 1) (i32.const 104)))
    ;; What start read is still there.
    (i32.store (i32.const 68) (i32.load (i32.const 100)))
    (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 104))))
  (start $start))
