;; Makes one kind of call again and again, as often as the exported function is told: nothing at all, functions of the host,
;; and those of another component, which is nested in this one.
(component
  (import "bench:host/calls" (instance $host
    (export "add" (func (param "a" u32) (param "b" u32) (result u32)))
    (export "now" (func (result u64)))))

  ;; The component that is called.
  (component $callee
    (core module $m
      (memory (export "memory") 1)
      ;; Whatever comes in has the same place.
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "next") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
      (func (export "echo") (param $at i32) (param $len i32) (result i32)
        (i32.store (i32.const 8) (local.get $at))
        (i32.store (i32.const 12) (local.get $len))
        (i32.const 8)))
    (core instance $i (instantiate $m))
    (func (export "next") (param "n" u32) (result u32) (canon lift (core func $i "next")))
    (func (export "echo") (param "text" string) (result string)
      (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))

  ;; The component that calls.
  (component $caller
    (import "host" (instance $host
      (export "add" (func (param "a" u32) (param "b" u32) (result u32)))
      (export "now" (func (result u64)))))
    (import "callee" (instance $callee
      (export "next" (func (param "n" u32) (result u32)))
      (export "echo" (func (param "text" string) (result string)))))
    (core module $memory
      (memory (export "memory") 1)
      (data (i32.const 64) "hello, world")
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $memory (instantiate $memory))
    (core func $add (canon lower (func $host "add")))
    (core func $now (canon lower (func $host "now")))
    (core func $next (canon lower (func $callee "next")))
    (core func $echo (canon lower (func $callee "echo")
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (core module $loops
      (import "memory" "memory" (memory 1))
      (import "calls" "add" (func $add (param i32 i32) (result i32)))
      (import "calls" "now" (func $now (result i64)))
      (import "calls" "next" (func $next (param i32) (result i32)))
      (import "calls" "echo" (func $echo (param i32 i32 i32)))
      (global $sum (mut i64) (i64.const 0))
      ;; What came of a call, so that none of it is for nothing.
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
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "next") (param $n i32)
        (loop $again
          (call $use (i64.extend_i32_u (call $next (local.get $n))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      ;; 12 bytes there, and 12 back.
      (func (export "echo") (param $n i32)
        (loop $again
          (call $echo (i32.const 64) (i32.const 12) (i32.const 8))
          (call $use (i64.extend_i32_u (i32.load (i32.const 12))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
    (core instance $i (instantiate $loops
      (with "memory" (instance $memory))
      (with "calls" (instance
        (export "add" (func $add)) (export "now" (func $now)) (export "next" (func $next)) (export "echo" (func $echo))))))
    (func (export "empty") (param "n" u32) (canon lift (core func $i "empty")))
    (func (export "now") (param "n" u32) (canon lift (core func $i "now")))
    (func (export "add") (param "n" u32) (canon lift (core func $i "add")))
    (func (export "next") (param "n" u32) (canon lift (core func $i "next")))
    (func (export "echo") (param "n" u32) (canon lift (core func $i "echo"))))

  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "host" (instance $host)) (with "callee" (instance $callee))))
  (export "empty" (func $caller "empty"))
  (export "now" (func $caller "now"))
  (export "add" (func $caller "add"))
  (export "next" (func $caller "next"))
  (export "echo" (func $caller "echo")))
