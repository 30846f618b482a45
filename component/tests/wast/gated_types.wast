;; Types that are behind a flag elsewhere. Lists of fixed length: as many elements as the type says, one after the other, flat and in
;; memory.
(component
  (core module $M
    (memory (export "memory") 1)
    (func (export "flat") (param i32 i32 i32) (result i32)
      (i32.add (i32.mul (local.get 0) (i32.const 100)) (i32.add (i32.mul (local.get 1) (i32.const 10)) (local.get 2))))
    (func (export "three") (result i32)
      (i32.store16 (i32.const 16) (i32.const 1))
      (i32.store16 (i32.const 18) (i32.const 2))
      (i32.store16 (i32.const 20) (i32.const 3))
      (i32.const 16)))
  (core instance $m (instantiate $M))
  (func (export "flat") (param "v" (list u8 3)) (result u32) (canon lift (core func $m "flat")))
  (func (export "three") (result (list u16 3)) (canon lift (core func $m "three") (memory (core memory $m "memory"))))
  (func (export "pairs") (result (list (tuple u8 u8) 3)) (canon lift (core func $m "three") (memory (core memory $m "memory")))))
(assert_return (invoke "flat" (list.const (u8.const 4) (u8.const 5) (u8.const 6))) (u32.const 456))
(assert_return (invoke "three") (list.const (u16.const 1) (u16.const 2) (u16.const 3)))
(assert_return (invoke "pairs") (list.const
  (tuple.const (u8.const 1) (u8.const 0)) (tuple.const (u8.const 2) (u8.const 0)) (tuple.const (u8.const 3) (u8.const 0))))

;; Maps: lists of pairs, in the order in which they were written, a key twice if it was.
(component
  (core module $M
    (memory (export "memory") 1)
    (global $end (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $new i32)
      (local.set $new (i32.and (i32.add (global.get $end) (i32.sub (local.get $align) (i32.const 1)))
                               (i32.sub (i32.const 0) (local.get $align))))
      (global.set $end (i32.add (local.get $new) (local.get $size)))
      (local.get $new))
    (func (export "keep") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0))
    ;; 12 bytes each: the string's pointer and length, and the number
    (func (export "second") (param i32 i32) (result i32) (i32.load offset=20 (local.get 0))))
  (core instance $m (instantiate $M))
  (alias core export $m "memory" (core memory $memory))
  (alias core export $m "realloc" (core func $realloc))
  (func (export "keep") (param "v" (map string u32)) (result (map string u32))
    (canon lift (core func $m "keep") (memory $memory) (realloc $realloc)))
  (func (export "second") (param "v" (map string u32)) (result u32)
    (canon lift (core func $m "second") (memory $memory) (realloc $realloc))))
(assert_return (invoke "keep" (map.const)) (map.const))
(assert_return
  (invoke "keep" (map.const (entry (str.const "b") (u32.const 1)) (entry (str.const "a") (u32.const 2)) (entry (str.const "b") (u32.const 3))))
  (map.const (entry (str.const "b") (u32.const 1)) (entry (str.const "a") (u32.const 2)) (entry (str.const "b") (u32.const 3))))
(assert_return (invoke "second" (map.const (entry (str.const "b") (u32.const 1)) (entry (str.const "a") (u32.const 2)))) (u32.const 2))
