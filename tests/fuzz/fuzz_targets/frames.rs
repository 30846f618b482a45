//! The target `frames`: [`sisal_tests::fuzz::frames`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::frames::run(data));
