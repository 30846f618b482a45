;; What a small compiled program does to its memory: data behind a stack of 16 MiB, frames at the top of that stack, and a heap
;; that grows by a page; then the greeting.
(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 257)
    (data (i32.const 0x1000000) "\08\00\00\01\06\00\00\00hello\n")
    (func (export "_start") (local $frame i32)
        (local.set $frame (i32.const 0xffffc0))
        (loop $frames
            (i32.store (local.get $frame) (local.get $frame))
            (local.set $frame (i32.sub (local.get $frame) (i32.const 64)))
            (br_if $frames (i32.gt_u (local.get $frame) (i32.const 0xffe000))))
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const 257)) (then (unreachable)))
        (i32.store (i32.const 0x1010000) (i32.const 1))
        (if (call $write (i32.const 1) (i32.const 0x1000000) (i32.const 1) (i32.const 0x1000100)) (then (unreachable)))))
