;; The floor: the same calls, made by a core module.
(module
  (import "host" "add" (func $add (param i32 i32) (result i32)))
  (import "host" "now" (func $now (result i64)))
  (global $sum (mut i64) (i64.const 0))
  (func $use (param i64) (global.set $sum (i64.add (global.get $sum) (local.get 0))))
  (func (export "empty") (param $n i32)
    (loop $again
      (call $use (i64.const 1))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "now") (param $n i32)
    (loop $again
      (call $use (call $now))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "add") (param $n i32)
    (loop $again
      (call $use (i64.extend_i32_u (call $add (local.get $n) (i32.const 7))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
