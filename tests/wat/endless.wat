;; A loop without an end: the deadline ends it.
(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))
