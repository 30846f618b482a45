;; proc_exit in the start function: _start never runs.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $start (call $proc_exit (i32.const 17)))
  (func (export "_start") (unreachable))
  (start $start))
