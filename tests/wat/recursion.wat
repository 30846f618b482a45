;; Recursion without an end, with locals and operands on the stack.
(module
  (func $deep (param i64 i64 i64 i64) (result i64)
    (i64.add (local.get 0)
      (call $deep (i64.add (local.get 0) (i64.const 1)) (local.get 0) (local.get 1) (local.get 2))))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $deep (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))))
