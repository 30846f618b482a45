;; Makes one kind of host call again and again. What and how often comes from standard input: two u32, the index in the
;; table below and the count. Ends with status 0 if every call went well.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  (memory (export "memory") 4)
  (data (i32.const 16) "\00\10\00\00\01\00\00\00")   ;; iovec: 1 byte at 4096
  (data (i32.const 24) "\00\10\00\00\00\10\00\00")   ;; iovec: 4096 bytes at 4096
  (data (i32.const 32) "\40\00\00\00\08\00\00\00")   ;; iovec: 8 bytes at 64
  (data (i32.const 1024) "a/b/c/file")
  (data (i32.const 1040) "many")
  (data (i32.const 2064) "\01")                      ;; subscription at 2048: the monotonic clock, timeout 0

  (type $operation (func (param i32)))
  (table funcref (elem $empty $clock $random $write_byte $write_page $read $pread $open $readdir_whole
    $readdir_pieces $poll))

  (global $failed (mut i32) (i32.const 0))
  (global $fd (mut i32) (i32.const 0))

  (func (export "_start")
    (call $check (call $fd_read (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 8)))
    (call_indirect (type $operation) (i32.load (i32.const 68)) (i32.load (i32.const 64)))
    (if (global.get $failed) (then (call $proc_exit (i32.const 1)))))

  ;; An error, or anything else that must be 0.
  (func $check (param i32) (global.set $failed (i32.or (global.get $failed) (local.get 0))))

  (func $open_file ;; fd_read, fd_seek
    (call $check (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 10) (i32.const 0)
      (i64.const 6) (i64.const 0) (i32.const 0) (i32.const 0)))
    (global.set $fd (i32.load (i32.const 0))))
  (func $open_directory ;; fd_readdir
    (call $check (call $path_open (i32.const 3) (i32.const 0) (i32.const 1040) (i32.const 4) (i32.const 2)
      (i64.const 0x4000) (i64.const 0) (i32.const 0) (i32.const 0)))
    (global.set $fd (i32.load (i32.const 0))))
  (func $close (call $check (call $fd_close (global.get $fd))))

  (func $empty (param $n i32)
    (loop $again
      (call $check (i32.const 0))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $clock (param $n i32)
    (loop $again
      (call $check (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $random (param $n i32)
    (loop $again
      (call $check (call $random_get (i32.const 4096) (i32.const 16)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $write_byte (param $n i32)
    (loop $again
      (call $check (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $write_page (param $n i32)
    (loop $again
      (call $check (call $fd_write (i32.const 1) (i32.const 24) (i32.const 1) (i32.const 8)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; From the position on; at the file's end (256 KiB) from the start again.
  (func $read (param $n i32) (local $read i32)
    (call $open_file)
    (loop $again
      (call $check (call $fd_read (global.get $fd) (i32.const 24) (i32.const 1) (i32.const 8)))
      (local.set $read (i32.load (i32.const 8)))
      (if (i32.ne (local.get $read) (i32.const 4096)) (then
        (call $check (local.get $read))
        (call $check (call $fd_seek (global.get $fd) (i64.const 0) (i32.const 0) (i32.const 8)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (call $close))

  (func $pread (param $n i32)
    (call $open_file)
    (loop $again
      (call $check (call $fd_pread (global.get $fd) (i32.const 24) (i32.const 1) (i64.const 0) (i32.const 8)))
      (call $check (i32.ne (i32.load (i32.const 8)) (i32.const 4096)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (call $close))

  (func $open (param $n i32)
    (loop $again
      (call $open_file)
      (call $close)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; A buffer that all entries fit into.
  (func $readdir_whole (param $n i32)
    (call $open_directory)
    (loop $again
      (call $check
        (call $fd_readdir (global.get $fd) (i32.const 65536) (i32.const 65536) (i64.const 0) (i32.const 8)))
      (call $check (i32.lt_u (i32.load (i32.const 8)) (i32.const 32000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (call $close))

  ;; A buffer of 4 KiB, filled again from the last whole entry's cookie on, as the libraries do.
  (func $readdir_pieces (param $n i32)
    (local $entry i32) (local $next i32) (local $end i32) (local $seen i32) (local $cookie i64)
    (call $open_directory)
    (loop $again
      (local.set $cookie (i64.const 0))
      (local.set $seen (i32.const 0))
      (loop $more
        (call $check (call $fd_readdir (global.get $fd) (i32.const 65536) (i32.const 4096) (local.get $cookie)
          (i32.const 8)))
        (local.set $entry (i32.const 65536))
        (local.set $end (i32.add (local.get $entry) (i32.load (i32.const 8))))
        (block $cut (loop $entries
          (br_if $cut (i32.gt_u (i32.add (local.get $entry) (i32.const 24)) (local.get $end)))
          (local.set $next
            (i32.add (i32.add (local.get $entry) (i32.const 24)) (i32.load offset=16 (local.get $entry))))
          (br_if $cut (i32.gt_u (local.get $next) (local.get $end)))
          (local.set $cookie (i64.load (local.get $entry)))
          (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
          (local.set $entry (local.get $next))
          (br $entries)))
        (br_if $more (i32.eq (i32.load (i32.const 8)) (i32.const 4096))))
      (call $check (i32.lt_u (local.get $seen) (i32.const 1000)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (call $close))

  (func $poll (param $n i32)
    (loop $again
      (call $check (call $poll_oneoff (i32.const 2048) (i32.const 3072) (i32.const 1) (i32.const 8)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
