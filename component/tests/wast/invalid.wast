;; What is refused before anything runs. (Nearly all of it is wasmparser's work: one of each kind shows that it is asked.)

(assert_malformed (component binary "\00asm" "\0e\00\01\00") "unknown binary version")
(assert_malformed (component binary "\00asm" "\0d\00\01\00" "\ff\00") "malformed section id")
(assert_malformed (component binary "\00asm" "\0d\00\01\00" "\01\7f") "unexpected end")
(assert_invalid (component binary "\00asm" "\0d\00\01\00" "\07\01\01") "unexpected end")

;; Types that do not match.
(assert_invalid
  (component
    (core module $M (func (export "f") (param i32)))
    (core instance $m (instantiate $M))
    (func (export "f") (param "v" u64) (canon lift (core func $m "f"))))
  "lowered parameter types")
(assert_invalid
  (component
    (core module $M (import "" "f" (func)))
    (core instance $m (instantiate $M)))
  "missing module instantiation argument")
(assert_invalid
  (component
    (core module $M (import "" "f" (func (param i32))))
    (core module $N (func (export "f")))
    (core instance $n (instantiate $N))
    (core instance $m (instantiate $M (with "" (instance $n)))))
  "type mismatch")
(assert_invalid
  (component
    (component $C (import "f" (func (param "v" u32))))
    (component $D
      (core module $M (func (export "f") (param i64)))
      (core instance $m (instantiate $M))
      (func (export "f") (param "v" u64) (canon lift (core func $m "f"))))
    (instance $d (instantiate $D))
    (instance $c (instantiate $C (with "f" (func $d "f")))))
  "type mismatch")
(assert_invalid
  (component
    (component $C (import "f" (func)))
    (instance (instantiate $C)))
  "missing import named `f`")

;; Options that are missing or do not belong.
(assert_invalid
  (component
    (core module $M (func (export "f") (result i32) (unreachable)))
    (core instance $m (instantiate $M))
    (func (export "f") (result string) (canon lift (core func $m "f"))))
  "canonical option `memory` is required")
(assert_invalid
  (component
    (core module $M (memory (export "memory") 1) (func (export "f") (param i32 i32)))
    (core instance $m (instantiate $M))
    (func (export "f") (param "v" string) (canon lift (core func $m "f") (memory (core memory $m "memory")))))
  "canonical option `realloc` is required")

;; Names: kebab case, each once.
(assert_invalid (component (import "NOT_kebab" (func))) "not in kebab case")
(assert_invalid (component (import "a" (func)) (import "a" (func))) "conflicts with previous name")

;; Resources: only whoever defines one makes one, and a borrow is never returned.
(assert_invalid
  (component
    (import "r" (type $r (sub resource)))
    (core func (canon resource.new $r)))
  "not a local resource")
(assert_invalid
  (component
    (import "r" (type $r (sub resource)))
    (import "f" (func (result (borrow $r)))))
  "function result cannot contain a `borrow` type")
(assert_invalid (component (type (resource (rep i64)))) "resources with `i64` require")

;; Indices.
(assert_invalid (component (alias export 0 "a" (func))) "index out of bounds")
(assert_invalid (component (component (alias outer 9 0 (type)))) "invalid outer alias")

;; Imports that nobody offers.
(assert_unlinkable (component (import "nobody-has-this" (func))) "nobody-has-this")
(assert_unlinkable (component (import "nobody:has/this@1.0.0" (instance (export "f" (func))))) "nobody:has/this@1.0.0")
