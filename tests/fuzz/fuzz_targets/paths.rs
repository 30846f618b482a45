//! The target `paths`: [`sisal_tests::fuzz::paths`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::paths::run(data));
