//! The fuzzing harnesses with any toolchain: what was found replayed, and some thousand inputs that are always the same.

use sisal_tests::fuzz::TARGETS;
use std::{fs, panic, path::Path};

/// Inputs of each target besides those that were found.
const INPUTS: u64 = 2_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn check(name: &str, input: &str, harness: fn(&[u8]), bytes: &[u8]) {
    if panic::catch_unwind(|| harness(bytes)).is_err() {
        panic!("{name}: {input} (the bytes: {bytes:?})");
    }
}

#[test]
fn what_was_found_stays_fixed() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
    for (name, harness) in TARGETS {
        // A target that has found nothing has no directory.
        for file in fs::read_dir(found.join(name)).into_iter().flatten() {
            let path = file.unwrap().path();
            check(name, &path.display().to_string(), harness, &fs::read(&path).unwrap());
        }
    }
}

#[test]
fn random_inputs_do_no_harm() {
    for (name, harness) in TARGETS {
        let mut random = Random(0);
        // Unoptimised, what a network takes minutes for takes a moment each time, and a whole program too.
        let inputs = if matches!(name, "frames" | "preview2") { INPUTS / 10 } else { INPUTS };
        for input in 0..inputs {
            // Many short ones, some long.
            let len = random.next() % (8 << (random.next() % 8));
            let mut bytes: Vec<u8> = (0..len).map(|_| random.next().to_le_bytes()[0]).collect();
            // The first byte often chooses what is done with the rest.
            if let Some(first) = bytes.first_mut()
                && input % 2 == 0
            {
                *first %= 8;
            }
            check(name, &format!("random input {input}"), harness, &bytes);
        }
    }
}
