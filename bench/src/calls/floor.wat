;; The floor: a call of a host function that does nothing, as often as `empty` and `call` are told.
(module
  (import "host" "nothing" (func $nothing (param i32 i64 i32) (result i32)))
  (global $failed (mut i32) (i32.const 0))
  (func $check (param i32) (global.set $failed (i32.or (global.get $failed) (local.get 0))))
  (func (export "empty") (param $n i32)
    (loop $again
      (call $check (i32.const 0))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "call") (param $n i32)
    (loop $again
      (call $check (call $nothing (i32.const 1) (i64.const 0) (i32.const 8)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
