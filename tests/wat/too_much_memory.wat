;; Asks from the start for more memory than it may have.
(module (memory (export "memory") 1024) (func (export "_start")))
