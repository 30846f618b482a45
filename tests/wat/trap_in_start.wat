;; A trap in the start function.
(module
  (func $start (i32.div_u (i32.const 1) (i32.const 0)) (drop))
  (func (export "_start"))
  (start $start))
