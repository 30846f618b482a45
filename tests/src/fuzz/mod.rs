//! Harnesses of the fuzzing targets: each is a function of some bytes that must return, whatever they are.
//!
//! They are run two ways. `tools/fuzz SECONDS TARGET` lets libFuzzer choose the bytes, with AddressSanitizer and on the stable
//! toolchain (CI gives each target a minute; hours are for runs by hand). The test `fuzz` of this package replays what
//! that has found (`tests/fuzz/regressions/TARGET`) and adds a few thousand inputs of its own, always the same. A
//! failure is fixed and its input, which `tools/fuzz` prints, added there. The first of them come from breaking the product on
//! purpose, which is also how to see that a target still finds what it is for.

pub mod boot;
pub mod components;
pub mod filesystem;
pub mod frames;
mod home;
pub mod http;
mod machine;
mod model;
pub mod modules;
mod network;
pub mod p9;
pub mod paths;
pub mod preview1;
pub mod preview2;
mod programs;

use arbitrary::Unstructured;

/// `wasm` with bytes replaced, put in and taken out, as many as `changes` has.
fn changed(wasm: &[u8], changes: &mut Unstructured<'_>) -> Vec<u8> {
    let mut wasm = wasm.to_vec();
    while !changes.is_empty() && !wasm.is_empty() {
        let (Ok(at), Ok(how), Ok(byte)) =
            (changes.choose_index(wasm.len()), changes.int_in_range(0..=5), changes.arbitrary::<u8>())
        else {
            break;
        };
        match how {
            0 => wasm.insert(at, byte),
            1 => drop(wasm.remove(at)),
            2 => wasm[at] ^= 1 << (byte % 8),
            3 => wasm[at] = wasm[at].wrapping_add(1),
            _ => wasm[at] = byte,
        }
    }
    wasm
}

/// What is done with an input; panics where something does not hold.
pub type Target = fn(&[u8]);

/// All targets: the name, and the harness.
pub const TARGETS: [(&str, Target); 10] = [
    ("boot", boot::run),
    ("components", components::run),
    ("filesystem", filesystem::run),
    ("frames", frames::run),
    ("http", http::run),
    ("modules", modules::run),
    ("p9", p9::run),
    ("paths", paths::run),
    ("preview1", preview1::run),
    ("preview2", preview2::run),
];
