;; Lists of fixed length: as many elements as the type says, one after the other, flat and in memory.
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
