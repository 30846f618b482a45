//! Harnesses of the fuzzing targets: each is a function of some bytes that must return, whatever they are.
//!
//! They are run two ways. `tools/fuzz SECONDS TARGET` lets libFuzzer choose the bytes, with AddressSanitizer and on the stable
//! toolchain (CI gives each target a minute; hours are for runs by hand). The test `fuzz` of this package replays what
//! that has found (`tests/fuzz/regressions/TARGET`) and adds a few thousand inputs of its own, always the same. A
//! failure is fixed and its input, which `tools/fuzz` prints, added there.

pub mod boot;
pub mod filesystem;
mod machine;
mod model;
pub mod modules;
pub mod p9;
pub mod paths;
pub mod preview1;
mod programs;

/// What is done with an input; panics where something does not hold.
pub type Target = fn(&[u8]);

/// All targets: the name, and the harness.
pub const TARGETS: [(&str, Target); 6] = [
    ("boot", boot::run),
    ("filesystem", filesystem::run),
    ("modules", modules::run),
    ("p9", p9::run),
    ("paths", paths::run),
    ("preview1", preview1::run),
];
