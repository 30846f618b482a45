//! How the texts that scripts expect are held against ours, and which of a script's needs may be missing here.

/// What the official suite calls a trap (part of the text), and what we call it.
const TEXTS: &[(&str, &[&str])] = &[
    ("invalid variant discriminant", &["invalid discriminant"]),
    ("invalid `char` bit pattern", &["char that is no Unicode scalar value"]),
    ("invalid utf-8", &["string not valid in its encoding"]),
    ("incomplete utf-8 byte sequence", &["string not valid in its encoding"]),
    (
        "string pointer/length out of bounds of memory",
        &["out of bounds of the memory", "list or string too large"],
    ),
    ("string content out-of-bounds", &["out of bounds of the memory", "list or string too large"]),
    ("list content out-of-bounds", &["out of bounds of the memory", "list or string too large"]),
    ("realloc return: beyond end of memory", &["out of bounds of the memory"]),
    ("realloc return: result not aligned", &["unaligned pointer"]),
    ("unaligned pointer", &["unaligned pointer"]),
    ("cannot remove owned resource while borrowed", &["is lent"]),
    ("handle index 1 used with the wrong type, expected", &["handle index 1 used with the wrong type"]),
    ("cannot enter component instance", &["cannot enter component instance"]),
    ("`unreachable` instruction executed", &["unreachable"]),
    // Newer tools say it in another way, or see another error first.
    ("invalid leading byte (0x2e) for canonical function", &["unexpected end-of-file"]),
    ("invalid boolean value", &["invalid leading byte (0x2) for zero byte"]),
    ("unexpected token", &["duplicate `implements` attribute", "duplicate `external-id` attribute"]),
];

/// Whether a trap or error with the text `actual` is the one that is expected.
pub fn matches(expected: &str, actual: &str) -> bool {
    actual.contains(expected)
        || TEXTS
            .iter()
            .any(|(text, ours)| expected.contains(text) && ours.iter().any(|ours| actual.contains(ours)))
}

/// Why a component that says so when it is loaded is not run, nor a script that cannot be read.
const SKIPS: &[(&str, &str)] = &[
    ("the `cancellable` option is no longer supported", "syntax that newer tools do not have"),
    (
        "import name `a-1` conflicts with previous name `a1`",
        "a rule about names that newer tools have changed",
    ),
    ("threads must be enabled for shared memories", "shared memories, which wasmi does not have"),
    ("async", "async (WASI 0.3)"),
    ("stream", "async (WASI 0.3)"),
    ("future", "async (WASI 0.3)"),
    ("waitable", "async (WASI 0.3)"),
    ("task.", "async (WASI 0.3)"),
    ("error-context", "error contexts, a gated feature"),
    ("threading", "threads of components, a gated feature"),
    ("exceptions", "exceptions, which wasmi does not have"),
];

/// The reason not to run what cannot be loaded because of `error`, if there is a good one.
pub fn skip(error: &str) -> Option<&'static str> {
    SKIPS.iter().find(|(text, _)| error.contains(text)).map(|(_, reason)| *reason)
}
