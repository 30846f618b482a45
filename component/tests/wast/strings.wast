;; Strings in the three encodings, from each to each, with characters of one to four bytes of UTF-8. "aé€😀" is
;; 61 C3A9 E282AC F09F9880 in UTF-8, 0061 00E9 20AC D83D DE00 in UTF-16; "aé" is 61 E9 in Latin-1.

;; From the host and back. The callee keeps what it got for a look at its bytes.
(component
  (core module $M
    (memory (export "memory") 1)
    (global $end (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $new i32)
      (local.set $new (i32.and (i32.add (global.get $end) (i32.sub (local.get $align) (i32.const 1)))
                               (i32.sub (i32.const 0) (local.get $align))))
      (global.set $end (i32.add (local.get $new) (local.get $size)))
      (if (i32.lt_u (local.get $size) (local.get $old-size)) (then (local.set $old-size (local.get $size))))
      (memory.copy (local.get $new) (local.get $old) (local.get $old-size))
      (local.get $new))
    (func (export "keep") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0))
    ;; The length as it was given, and the first 8 bytes.
    (func (export "length") (param i32 i32) (result i32) (local.get 1))
    (func (export "bytes") (param i32 i32) (result i64) (i64.load (local.get 0)))
    (func (export "more-bytes") (param i32 i32) (result i64) (i64.load offset=8 (local.get 0))))
  (core instance $m (instantiate $M))
  (alias core export $m "memory" (core memory $memory))
  (alias core export $m "realloc" (core func $realloc))
  (func (export "keep-utf8") (param "s" string) (result string)
    (canon lift (core func $m "keep") string-encoding=utf8 (memory $memory) (realloc $realloc)))
  (func (export "keep-utf16") (param "s" string) (result string)
    (canon lift (core func $m "keep") string-encoding=utf16 (memory $memory) (realloc $realloc)))
  (func (export "keep-latin1") (param "s" string) (result string)
    (canon lift (core func $m "keep") string-encoding=latin1+utf16 (memory $memory) (realloc $realloc)))
  (func (export "length-utf8") (param "s" string) (result u32)
    (canon lift (core func $m "length") string-encoding=utf8 (memory $memory) (realloc $realloc)))
  (func (export "length-utf16") (param "s" string) (result u32)
    (canon lift (core func $m "length") string-encoding=utf16 (memory $memory) (realloc $realloc)))
  (func (export "length-latin1") (param "s" string) (result u32)
    (canon lift (core func $m "length") string-encoding=latin1+utf16 (memory $memory) (realloc $realloc)))
  (func (export "bytes-utf8") (param "s" string) (result u64)
    (canon lift (core func $m "bytes") string-encoding=utf8 (memory $memory) (realloc $realloc)))
  (func (export "bytes-utf16") (param "s" string) (result u64)
    (canon lift (core func $m "bytes") string-encoding=utf16 (memory $memory) (realloc $realloc)))
  (func (export "bytes-latin1") (param "s" string) (result u64)
    (canon lift (core func $m "bytes") string-encoding=latin1+utf16 (memory $memory) (realloc $realloc)))
  (func (export "more-latin1") (param "s" string) (result u64)
    (canon lift (core func $m "more-bytes") string-encoding=latin1+utf16 (memory $memory) (realloc $realloc))))

(assert_return (invoke "keep-utf8" (str.const "")) (str.const ""))
(assert_return (invoke "keep-utf16" (str.const "")) (str.const ""))
(assert_return (invoke "keep-latin1" (str.const "")) (str.const ""))
(assert_return (invoke "keep-utf8" (str.const "aé€😀")) (str.const "aé€😀"))
(assert_return (invoke "keep-utf16" (str.const "aé€😀")) (str.const "aé€😀"))
(assert_return (invoke "keep-latin1" (str.const "aé€😀")) (str.const "aé€😀"))
(assert_return (invoke "keep-latin1" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "keep-latin1" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "keep-utf16" (str.const "\00\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}"))
  (str.const "\00\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}"))
(assert_return (invoke "length-utf8" (str.const "aé€😀")) (u32.const 10))
(assert_return (invoke "length-utf16" (str.const "aé€😀")) (u32.const 5))
;; The highest bit of the length says that it is UTF-16.
(assert_return (invoke "length-latin1" (str.const "aé")) (u32.const 2))
(assert_return (invoke "length-latin1" (str.const "aé€")) (u32.const 0x80000003))
(assert_return (invoke "length-latin1" (str.const "aé€😀")) (u32.const 0x80000005))
(assert_return (invoke "length-latin1" (str.const "")) (u32.const 0))
(assert_return (invoke "bytes-utf8" (str.const "aé€😀")) (u64.const 0x9ff0_ac82_e2a9_c361))
(assert_return (invoke "bytes-utf16" (str.const "aé€😀")) (u64.const 0xd83d_20ac_00e9_0061))
(assert_return (invoke "bytes-latin1" (str.const "aéaéaéaé")) (u64.const 0xe961_e961_e961_e961))
(assert_return (invoke "bytes-latin1" (str.const "aé€😀")) (u64.const 0xd83d_20ac_00e9_0061))
;; Seven of Latin-1 before the first that is not.
(assert_return (invoke "bytes-latin1" (str.const "1234567€")) (u64.const 0x0034_0033_0032_0031))
(assert_return (invoke "more-latin1" (str.const "1234567€")) (u64.const 0x20ac_0037_0036_0035))

;; From each encoding to each: three callees and three callers, which own a memory each. A caller sends its text, and gives
;; what comes back, which the callee took from its own memory.
(component
  (core module $Libc
    (memory (export "memory") 1)
    (global $end (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $new i32)
      (local.set $new (i32.and (i32.add (global.get $end) (i32.sub (local.get $align) (i32.const 1)))
                               (i32.sub (i32.const 0) (local.get $align))))
      (global.set $end (i32.add (local.get $new) (local.get $size)))
      (if (i32.lt_u (local.get $size) (local.get $old-size)) (then (local.set $old-size (local.get $size))))
      (memory.copy (local.get $new) (local.get $old) (local.get $old-size))
      (local.get $new)))
  (core module $Keep
    (import "libc" "memory" (memory 1))
    (func (export "keep") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0)))
  (core module $Call
    (import "libc" "memory" (memory 1))
    (import "" "f" (func $f (param i32 i32 i32)))
    (func (export "f") (param i32 i32) (result i32)
      (call $f (local.get 0) (local.get 1) (i32.const 16))
      (i32.const 16)))

  (component $Callee8
    (core instance $libc (instantiate $Libc))
    (core instance $m (instantiate $Keep (with "libc" (instance $libc))))
    (func (export "f") (param "s" string) (result string)
      (canon lift (core func $m "keep") string-encoding=utf8
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
  (component $Callee16
    (core instance $libc (instantiate $Libc))
    (core instance $m (instantiate $Keep (with "libc" (instance $libc))))
    (func (export "f") (param "s" string) (result string)
      (canon lift (core func $m "keep") string-encoding=utf16
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
  (component $Callee1
    (core instance $libc (instantiate $Libc))
    (core instance $m (instantiate $Keep (with "libc" (instance $libc))))
    (func (export "f") (param "s" string) (result string)
      (canon lift (core func $m "keep") string-encoding=latin1+utf16
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
  (component $Caller8
    (import "f" (func $f (param "s" string) (result string)))
    (core instance $libc (instantiate $Libc))
    (core func $f (canon lower (func $f) string-encoding=utf8
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core instance $m (instantiate $Call
      (with "libc" (instance $libc)) (with "" (instance (export "f" (func $f))))))
    (func (export "f") (param "s" string) (result string)
      (canon lift (core func $m "f") string-encoding=utf8
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
  (component $Caller16
    (import "f" (func $f (param "s" string) (result string)))
    (core instance $libc (instantiate $Libc))
    (core func $f (canon lower (func $f) string-encoding=utf16
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core instance $m (instantiate $Call
      (with "libc" (instance $libc)) (with "" (instance (export "f" (func $f))))))
    (func (export "f") (param "s" string) (result string)
      (canon lift (core func $m "f") string-encoding=utf16
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
  (component $Caller1
    (import "f" (func $f (param "s" string) (result string)))
    (core instance $libc (instantiate $Libc))
    (core func $f (canon lower (func $f) string-encoding=latin1+utf16
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core instance $m (instantiate $Call
      (with "libc" (instance $libc)) (with "" (instance (export "f" (func $f))))))
    (func (export "f") (param "s" string) (result string)
      (canon lift (core func $m "f") string-encoding=latin1+utf16
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))

  (instance $callee8 (instantiate $Callee8))
  (instance $callee16 (instantiate $Callee16))
  (instance $callee1 (instantiate $Callee1))
  (instance $from8to8 (instantiate $Caller8 (with "f" (func $callee8 "f"))))
  (instance $from8to16 (instantiate $Caller8 (with "f" (func $callee16 "f"))))
  (instance $from8to1 (instantiate $Caller8 (with "f" (func $callee1 "f"))))
  (instance $from16to8 (instantiate $Caller16 (with "f" (func $callee8 "f"))))
  (instance $from16to16 (instantiate $Caller16 (with "f" (func $callee16 "f"))))
  (instance $from16to1 (instantiate $Caller16 (with "f" (func $callee1 "f"))))
  (instance $from1to8 (instantiate $Caller1 (with "f" (func $callee8 "f"))))
  (instance $from1to16 (instantiate $Caller1 (with "f" (func $callee16 "f"))))
  (instance $from1to1 (instantiate $Caller1 (with "f" (func $callee1 "f"))))
  (export "from8to8" (func $from8to8 "f"))
  (export "from8to16" (func $from8to16 "f"))
  (export "from8to1" (func $from8to1 "f"))
  (export "from16to8" (func $from16to8 "f"))
  (export "from16to16" (func $from16to16 "f"))
  (export "from16to1" (func $from16to1 "f"))
  (export "from1to8" (func $from1to8 "f"))
  (export "from1to16" (func $from1to16 "f"))
  (export "from1to1" (func $from1to1 "f")))
(assert_return (invoke "from8to8" (str.const "")) (str.const ""))
(assert_return (invoke "from8to16" (str.const "")) (str.const ""))
(assert_return (invoke "from8to1" (str.const "")) (str.const ""))
(assert_return (invoke "from16to8" (str.const "")) (str.const ""))
(assert_return (invoke "from16to16" (str.const "")) (str.const ""))
(assert_return (invoke "from16to1" (str.const "")) (str.const ""))
(assert_return (invoke "from1to8" (str.const "")) (str.const ""))
(assert_return (invoke "from1to16" (str.const "")) (str.const ""))
(assert_return (invoke "from1to1" (str.const "")) (str.const ""))
(assert_return (invoke "from8to8" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from8to16" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from8to1" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from16to8" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from16to16" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from16to1" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from1to8" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from1to16" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from1to1" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from8to8" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "from8to16" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "from8to1" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "from16to8" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "from16to16" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "from16to1" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "from1to8" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "from1to16" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "from1to1" (str.const "aé")) (str.const "aé"))
(assert_return (invoke "from8to8" (str.const "aé€")) (str.const "aé€"))
(assert_return (invoke "from8to16" (str.const "aé€")) (str.const "aé€"))
(assert_return (invoke "from8to1" (str.const "aé€")) (str.const "aé€"))
(assert_return (invoke "from16to8" (str.const "aé€")) (str.const "aé€"))
(assert_return (invoke "from16to16" (str.const "aé€")) (str.const "aé€"))
(assert_return (invoke "from16to1" (str.const "aé€")) (str.const "aé€"))
(assert_return (invoke "from1to8" (str.const "aé€")) (str.const "aé€"))
(assert_return (invoke "from1to16" (str.const "aé€")) (str.const "aé€"))
(assert_return (invoke "from1to1" (str.const "aé€")) (str.const "aé€"))
(assert_return (invoke "from8to8" (str.const "😀")) (str.const "😀"))
(assert_return (invoke "from8to16" (str.const "😀")) (str.const "😀"))
(assert_return (invoke "from8to1" (str.const "😀")) (str.const "😀"))
(assert_return (invoke "from16to8" (str.const "😀")) (str.const "😀"))
(assert_return (invoke "from16to16" (str.const "😀")) (str.const "😀"))
(assert_return (invoke "from16to1" (str.const "😀")) (str.const "😀"))
(assert_return (invoke "from1to8" (str.const "😀")) (str.const "😀"))
(assert_return (invoke "from1to16" (str.const "😀")) (str.const "😀"))
(assert_return (invoke "from1to1" (str.const "😀")) (str.const "😀"))
(assert_return (invoke "from8to8" (str.const "1234567é€😀")) (str.const "1234567é€😀"))
(assert_return (invoke "from8to16" (str.const "1234567é€😀")) (str.const "1234567é€😀"))
(assert_return (invoke "from8to1" (str.const "1234567é€😀")) (str.const "1234567é€😀"))
(assert_return (invoke "from16to8" (str.const "1234567é€😀")) (str.const "1234567é€😀"))
(assert_return (invoke "from16to16" (str.const "1234567é€😀")) (str.const "1234567é€😀"))
(assert_return (invoke "from16to1" (str.const "1234567é€😀")) (str.const "1234567é€😀"))
(assert_return (invoke "from1to8" (str.const "1234567é€😀")) (str.const "1234567é€😀"))
(assert_return (invoke "from1to16" (str.const "1234567é€😀")) (str.const "1234567é€😀"))
(assert_return (invoke "from1to1" (str.const "1234567é€😀")) (str.const "1234567é€😀"))
(assert_return (invoke "from8to8" (str.const "éééééééé😀a")) (str.const "éééééééé😀a"))
(assert_return (invoke "from8to16" (str.const "éééééééé😀a")) (str.const "éééééééé😀a"))
(assert_return (invoke "from8to1" (str.const "éééééééé😀a")) (str.const "éééééééé😀a"))
(assert_return (invoke "from16to8" (str.const "éééééééé😀a")) (str.const "éééééééé😀a"))
(assert_return (invoke "from16to16" (str.const "éééééééé😀a")) (str.const "éééééééé😀a"))
(assert_return (invoke "from16to1" (str.const "éééééééé😀a")) (str.const "éééééééé😀a"))
(assert_return (invoke "from1to8" (str.const "éééééééé😀a")) (str.const "éééééééé😀a"))
(assert_return (invoke "from1to16" (str.const "éééééééé😀a")) (str.const "éééééééé😀a"))
(assert_return (invoke "from1to1" (str.const "éééééééé😀a")) (str.const "éééééééé😀a"))

;; What is no string traps where it is lifted: from the guest to the host, and from guest to guest.
(component definition $Broken
  (component $Source
    (core module $M
      (memory (export "memory") 1)
      (func (export "set") (param i32 i32 i64)
        (i32.store (i32.const 0) (local.get 0))
        (i32.store (i32.const 4) (local.get 1))
        (i64.store (i32.const 64) (local.get 2))
        (i64.store (i32.const 65528) (local.get 2)))
      (func (export "get") (result i32) (i32.const 0)))
    (core instance $m (instantiate $M))
    (func (export "set") (param "ptr" u32) (param "len" u32) (param "bytes" u64) (canon lift (core func $m "set")))
    (func (export "utf8") (result string)
      (canon lift (core func $m "get") string-encoding=utf8 (memory (core memory $m "memory"))))
    (func (export "utf16") (result string)
      (canon lift (core func $m "get") string-encoding=utf16 (memory (core memory $m "memory"))))
    (func (export "latin1") (result string)
      (canon lift (core func $m "get") string-encoding=latin1+utf16 (memory (core memory $m "memory")))))
  (instance $source (instantiate $Source))
  (component $Sink
    (import "s" (func $s (result string)))
    (core module $M
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $m (instantiate $M))
    (core func $s (canon lower (func $s) string-encoding=utf16
      (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
    (core module $Main
      (import "" "s" (func $s (param i32)))
      (func (export "go") (call $s (i32.const 16))))
    (core instance $main (instantiate $Main (with "" (instance (export "s" (func $s))))))
    (func (export "go") (canon lift (core func $main "go"))))
  (instance $sink (instantiate $Sink (with "s" (func $source "utf8"))))
  (instance $sink16 (instantiate $Sink (with "s" (func $source "utf16"))))
  (export "set" (func $source "set"))
  (export "utf8" (func $source "utf8"))
  (export "utf16" (func $source "utf16"))
  (export "latin1" (func $source "latin1"))
  (export "through" (func $sink "go"))
  (export "through16" (func $sink16 "go")))

(component instance $valid $Broken)
(invoke "set" (u32.const 64) (u32.const 4) (u64.const 0x8098_9ff0))
(assert_return (invoke "utf8") (str.const "😀"))
(assert_return (invoke "through"))
(invoke "set" (u32.const 64) (u32.const 2) (u64.const 0xde00_d83d))
(assert_return (invoke "utf16") (str.const "😀"))
(assert_return (invoke "through16"))
(invoke "set" (u32.const 64) (u32.const 0x80000002) (u64.const 0xde00_d83d))
(assert_return (invoke "latin1") (str.const "😀"))
(invoke "set" (u32.const 64) (u32.const 2) (u64.const 0xff80))
(assert_return (invoke "latin1") (str.const "\u{80}\u{ff}"))
;; An empty string may lie at the end of the memory, and the last byte of the memory is one.
(invoke "set" (u32.const 65536) (u32.const 0) (u64.const 0))
(assert_return (invoke "utf8") (str.const ""))
(invoke "set" (u32.const 65535) (u32.const 1) (u64.const 0x7a00_0000_0000_0000))
(assert_return (invoke "utf8") (str.const "z"))

(component instance $t1 $Broken)
(invoke "set" (u32.const 64) (u32.const 1) (u64.const 0x80))
(assert_trap (invoke "utf8") "string not valid in its encoding")

(component instance $t2 $Broken)
(invoke "set" (u32.const 64) (u32.const 1) (u64.const 0x80))
(assert_trap (invoke "through") "string not valid in its encoding")

;; Overlong, a surrogate, cut short.

(component instance $t3 $Broken)
(invoke "set" (u32.const 64) (u32.const 2) (u64.const 0x80c0))
(assert_trap (invoke "utf8") "string not valid in its encoding")

(component instance $t4 $Broken)
(invoke "set" (u32.const 64) (u32.const 3) (u64.const 0x80a0ed))
(assert_trap (invoke "utf8") "string not valid in its encoding")

(component instance $t5 $Broken)
(invoke "set" (u32.const 64) (u32.const 3) (u64.const 0x989ff0))
(assert_trap (invoke "utf8") "string not valid in its encoding")

;; Half a pair, the halves exchanged.

(component instance $t6 $Broken)
(invoke "set" (u32.const 64) (u32.const 1) (u64.const 0xd83d))
(assert_trap (invoke "utf16") "string not valid in its encoding")

(component instance $t7 $Broken)
(invoke "set" (u32.const 64) (u32.const 1) (u64.const 0xd83d))
(assert_trap (invoke "through16") "string not valid in its encoding")

(component instance $t8 $Broken)
(invoke "set" (u32.const 64) (u32.const 2) (u64.const 0xd83dde00))
(assert_trap (invoke "utf16") "string not valid in its encoding")

(component instance $t9 $Broken)
(invoke "set" (u32.const 64) (u32.const 0x80000001) (u64.const 0xde00))
(assert_trap (invoke "latin1") "string not valid in its encoding")

;; Odd pointers, even of what is empty.

(component instance $t10 $Broken)
(invoke "set" (u32.const 65) (u32.const 1) (u64.const 0))
(assert_trap (invoke "utf16") "unaligned pointer")

(component instance $t11 $Broken)
(invoke "set" (u32.const 65) (u32.const 0) (u64.const 0))
(assert_trap (invoke "utf16") "unaligned pointer")

(component instance $t12 $Broken)
(invoke "set" (u32.const 65) (u32.const 1) (u64.const 0))
(assert_trap (invoke "latin1") "unaligned pointer")

(component instance $t13 $Broken)
(invoke "set" (u32.const 65) (u32.const 0) (u64.const 0))
(assert_trap (invoke "through16") "unaligned pointer")

;; Out of the memory.

(component instance $t14 $Broken)
(invoke "set" (u32.const 65537) (u32.const 0) (u64.const 0))
(assert_trap (invoke "utf8") "out of bounds")

(component instance $t15 $Broken)
(invoke "set" (u32.const 65535) (u32.const 2) (u64.const 0))
(assert_trap (invoke "utf8") "out of bounds")

(component instance $t16 $Broken)
(invoke "set" (u32.const 65535) (u32.const 2) (u64.const 0))
(assert_trap (invoke "through") "out of bounds")

(component instance $t17 $Broken)
(invoke "set" (u32.const 65534) (u32.const 2) (u64.const 0))
(assert_trap (invoke "utf16") "out of bounds")

(component instance $t18 $Broken)
(invoke "set" (u32.const 0xffffffff) (u32.const 2) (u64.const 0))
(assert_trap (invoke "utf8") "out of bounds")

;; Too large to be allowed at all.

(component instance $t19 $Broken)
(invoke "set" (u32.const 0) (u32.const 0x10000000) (u64.const 0))
(assert_trap (invoke "utf8") "too large")

(component instance $t20 $Broken)
(invoke "set" (u32.const 0) (u32.const 0x08000000) (u64.const 0))
(assert_trap (invoke "utf16") "too large")

(component instance $t21 $Broken)
(invoke "set" (u32.const 0) (u32.const 0x88000000) (u64.const 0))
(assert_trap (invoke "latin1") "too large")
