;; Decoding and linking: what a component is made of, and how its pieces find each other.

;; The empty ones.
(component)
(component (component))
(component (core module))
(component (core module $M) (core instance (instantiate $M)) (core instance (instantiate $M)))
(component (component $C) (instance (instantiate $C)) (instance (instantiate $C)))

;; One module, three instances: what they keep they keep by themselves.
(component
  (core module $Counter
    (global $n (mut i32) (i32.const 0))
    (func (export "next") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (global.get $n)))
  (core instance $a (instantiate $Counter))
  (core instance $b (instantiate $Counter))
  (component $Nested
    (core instance $c (instantiate $Counter))
    (func (export "next") (result u32) (canon lift (core func $c "next"))))
  (instance $c (instantiate $Nested))
  (instance $d (instantiate $Nested))
  (func (export "a") (result u32) (canon lift (core func $a "next")))
  (func (export "b") (result u32) (canon lift (core func $b "next")))
  (export "c" (func $c "next"))
  (export "d" (func $d "next")))
(assert_return (invoke "a") (u32.const 1))
(assert_return (invoke "a") (u32.const 2))
(assert_return (invoke "b") (u32.const 1))
(assert_return (invoke "c") (u32.const 1))
(assert_return (invoke "d") (u32.const 1))
(assert_return (invoke "c") (u32.const 2))

;; The arguments of a module: memory, table, global and function of another, by an instance and one by one.
(component
  (core module $Libc
    (memory (export "memory") 1)
    (data (i32.const 8) "\2a")
    (table (export "table") 2 funcref)
    (global (export "base") (mut i32) (i32.const 5))
    (func $forty (export "forty") (result i32) (i32.const 40))
    (elem (i32.const 1) $forty))
  (core instance $libc (instantiate $Libc))
  (core module $Main
    (import "libc" "memory" (memory 1))
    (import "libc" "table" (table 2 funcref))
    (import "env" "global" (global $base (mut i32)))
    (import "env" "f" (func $f (result i32)))
    (type $t (func (result i32)))
    (func (export "memory") (result i32) (i32.load8_u (i32.const 8)))
    (func (export "table") (result i32) (call_indirect (type $t) (i32.const 1)))
    (func (export "global") (result i32)
      (global.set $base (i32.add (global.get $base) (i32.const 1)))
      (global.get $base))
    (func (export "f") (result i32) (i32.add (call $f) (i32.const 1))))
  (core instance $main (instantiate $Main
    (with "libc" (instance $libc))
    (with "env" (instance (export "global" (global $libc "base")) (export "f" (func $libc "forty"))))))
  (func (export "memory") (result u32) (canon lift (core func $main "memory")))
  (func (export "table") (result u32) (canon lift (core func $main "table")))
  (func (export "global") (result u32) (canon lift (core func $main "global")))
  (func (export "f") (result u32) (canon lift (core func $main "f"))))
(assert_return (invoke "memory") (u32.const 42))
(assert_return (invoke "table") (u32.const 40))
(assert_return (invoke "global") (u32.const 6))
(assert_return (invoke "global") (u32.const 7))
(assert_return (invoke "f") (u32.const 41))

;; Outer aliases see modules, components and types from one and from two levels above, as they were when the closure was made.
(component $Root
  (core module $Ten (func (export "f") (result i32) (i32.const 10)))
  (component $Leaf
    (core instance $i (instantiate $Ten))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))
  (type $record (record (field "x" u32)))
  (component $Middle
    (core module $Twenty (func (export "f") (result i32) (i32.const 20)))
    (component $Inner
      (alias outer $Root $Ten (core module $ten))
      (alias outer $Middle $Twenty (core module $twenty))
      (alias outer $Root $Leaf (component $leaf))
      (alias outer $Root $record (type $r))
      (export $r' "r" (type $r))
      (core instance $a (instantiate $ten))
      (core instance $b (instantiate $twenty))
      (instance $c (instantiate $leaf))
      (core module $Give (func (export "f") (result i32) (i32.const 30)))
      (core instance $d (instantiate $Give))
      (func (export "ten") (result u32) (canon lift (core func $a "f")))
      (func (export "twenty") (result u32) (canon lift (core func $b "f")))
      (export "leaf" (func $c "f"))
      (func (export "record") (result $r') (canon lift (core func $d "f"))))
    (instance $i (instantiate $Inner))
    (export "inner" (instance $i)))
  (instance $m (instantiate $Middle))
  (alias export $m "inner" (instance $inner))
  (export "ten" (func $inner "ten"))
  (export "twenty" (func $inner "twenty"))
  (export "leaf" (func $inner "leaf"))
  (export "inner" (instance $inner)))
(assert_return (invoke "ten") (u32.const 10))
(assert_return (invoke "twenty") (u32.const 20))
(assert_return (invoke "leaf") (u32.const 10))

;; A component is a closure: instantiated elsewhere, it still has what was around it where it was written.
(component
  (component $Make
    (core module $Here (func (export "f") (result i32) (i32.const 1)))
    (component $Closure
      (core instance $i (instantiate $Here))
      (func (export "f") (result u32) (canon lift (core func $i "f"))))
    (export "closure" (component $Closure)))
  (instance $make (instantiate $Make))
  (alias export $make "closure" (component $Closure))
  (component $Use
    (import "c" (component $C (export "f" (func (result u32)))))
    (core module $Here (func (export "f") (result i32) (i32.const 2)))
    (instance $i (instantiate $C))
    (export "f" (func $i "f")))
  (instance $use (instantiate $Use (with "c" (component $Closure))))
  (export "f" (func $use "f")))
(assert_return (invoke "f") (u32.const 1))

;; Modules and components are values: they are imported, exported and instantiated with arguments of their own.
(component
  (component $Wrap
    (import "m" (core module $M (import "env" "n" (global i32)) (export "f" (func (result i32)))))
    (core module $N (global (export "n") i32 (i32.const 8)))
    (core instance $n (instantiate $N))
    (core instance $i (instantiate $M (with "env" (instance $n))))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))
  ;; It has more exports than are asked for, and fewer imports would do too.
  (core module $Double
    (import "env" "n" (global $n i32))
    (func (export "f") (result i32) (i32.mul (global.get $n) (i32.const 2)))
    (func (export "unused")))
  (core module $Constant (func (export "f") (result i32) (i32.const 3)))
  (instance $a (instantiate $Wrap (with "m" (core module $Double))))
  (instance $b (instantiate $Wrap (with "m" (core module $Constant))))
  (export "double" (func $a "f"))
  (export "constant" (func $b "f")))
(assert_return (invoke "double") (u32.const 16))
(assert_return (invoke "constant") (u32.const 3))

;; Instances made of pieces, re-exported, under other names, nested, and larger than what is asked for.
(component
  (component $A
    (core module $M (func (export "f") (result i32) (i32.const 1)) (func (export "g") (result i32) (i32.const 2)))
    (core instance $m (instantiate $M))
    (func $f (result u32) (canon lift (core func $m "f")))
    (func $g (result u32) (canon lift (core func $m "g")))
    (instance $both (export "f" (func $f)) (export "g" (func $g)))
    (export "both" (instance $both))
    (instance $swapped (export "f" (func $g)) (export "g" (func $f)))
    (export "swapped" (instance $swapped))
    (instance $deep (export "one" (instance $both)) (export "two" (instance $swapped)))
    (export "deep" (instance $deep)))
  (instance $a (instantiate $A))
  (component $B
    (import "i" (instance $i (export "f" (func (result u32)))))
    (export "f" (func $i "f")))
  (instance $b1 (instantiate $B (with "i" (instance $a "both"))))
  (instance $b2 (instantiate $B (with "i" (instance $a "swapped"))))
  (component $D
    (import "deep" (instance $deep (export "two" (instance (export "g" (func (result u32)))))))
    (alias export $deep "two" (instance $two))
    (export "g" (func $two "g")))
  (instance $d (instantiate $D (with "deep" (instance $a "deep"))))
  (instance $b3 (instantiate $B (with "i" (instance (export "f" (func $b2 "f"))))))
  (export "one" (func $b1 "f"))
  (export "two" (func $b2 "f"))
  (export "three" (func $d "g"))
  (export "four" (func $b3 "f")))
(assert_return (invoke "one") (u32.const 1))
(assert_return (invoke "two") (u32.const 2))
(assert_return (invoke "three") (u32.const 1))
(assert_return (invoke "four") (u32.const 2))

;; Core functions that start a module run once, in order, and before what follows; they may call out.
(component
  (component $Log
    (core module $M
      (global $log (mut i32) (i32.const 0))
      (func (export "add") (param i32) (global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (local.get 0))))
      (func (export "get") (result i32) (global.get $log)))
    (core instance $m (instantiate $M))
    (func (export "add") (param "n" u32) (canon lift (core func $m "add")))
    (func (export "get") (result u32) (canon lift (core func $m "get"))))
  (instance $log (instantiate $Log))
  (component $Starts
    (import "add" (func $add (param "n" u32)))
    (core func $add (canon lower (func $add)))
    (core module $One
      (import "" "add" (func $add (param i32)))
      (global $n (mut i32) (i32.const 0))
      (func $start
        (local $i i32)
        (loop $next
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (i32.const 100))))
        (global.set $n (local.get $i))
        (call $add (i32.const 1)))
      (start $start)
      (func (export "n") (result i32) (global.get $n)))
    (core instance $one (instantiate $One (with "" (instance (export "add" (func $add))))))
    (core module $Two
      (import "" "add" (func $add (param i32)))
      (import "one" "n" (func $n (result i32)))
      (func $start (if (i32.eq (call $n) (i32.const 100)) (then (call $add (i32.const 2)))))
      (start $start))
    (core instance $two (instantiate $Two (with "one" (instance $one)) (with "" (instance (export "add" (func $add)))))))
  (instance (instantiate $Starts (with "add" (func $log "add"))))
  (instance (instantiate $Starts (with "add" (func $log "add"))))
  (export "get" (func $log "get")))
(assert_return (invoke "get") (u32.const 1212))

;; What starts and traps ends the instantiation.
(assert_trap
  (component
    (core module $M (func $start (unreachable)) (start $start))
    (core instance (instantiate $M)))
  "unreachable")
;; So does a segment that does not fit.
(assert_trap
  (component
    (core module $M (memory 1) (data (i32.const 65536) "x"))
    (core instance (instantiate $M)))
  "out of bounds")

;; A function exported twice is one, and so is a core function lifted at two types.
(component
  (core module $M (func (export "f") (param i32) (result i32) (local.get 0)))
  (core instance $m (instantiate $M))
  (func $u (param "v" u8) (result u8) (canon lift (core func $m "f")))
  (func $s (param "v" u8) (result s8) (canon lift (core func $m "f")))
  (export "u" (func $u))
  (export "u-again" (func $u))
  (export "s" (func $s)))
(assert_return (invoke "u" (u8.const 200)) (u8.const 200))
(assert_return (invoke "u-again" (u8.const 200)) (u8.const 200))
(assert_return (invoke "s" (u8.const 200)) (s8.const -56))

;; Types are structural but for resources, which are abstract to whoever imports them, and are passed along by name.
(component
  (component $Maker
    (type $R (resource (rep i32)))
    (export $R' "r" (type $R))
    (type $Rec (record (field "r" (own $R'))))
    (export $Rec' "rec" (type $Rec))
    (core func $new (canon resource.new $R))
    (core module $M
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 77)))
      (func (export "look") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
    (func (export "make") (result $Rec') (canon lift (core func $m "make")))
    (func (export "look") (param "r" (borrow $R')) (result u32) (canon lift (core func $m "look"))))
  (instance $maker (instantiate $Maker))
  (component $Via
    (import "r" (type $r (sub resource)))
    (type $rec (record (field "r" (own $r))))
    (import "rec" (type $rec' (eq $rec)))
    (import "make" (func $make (result $rec')))
    (import "look" (func $look (param "r" (borrow $r)) (result u32)))
    (core func $make (canon lower (func $make)))
    (core func $look (canon lower (func $look)))
    (core module $M
      (import "" "make" (func $make (result i32)))
      (import "" "look" (func $look (param i32) (result i32)))
      (func (export "run") (result i32) (call $look (call $make))))
    (core instance $m (instantiate $M (with "" (instance (export "make" (func $make)) (export "look" (func $look))))))
    (func (export "run") (result u32) (canon lift (core func $m "run"))))
  (instance $via (instantiate $Via
    (with "r" (type $maker "r")) (with "rec" (type $maker "rec"))
    (with "make" (func $maker "make")) (with "look" (func $maker "look"))))
  (export "run" (func $via "run")))
(assert_return (invoke "run") (u32.const 77))
