//! The target `filesystem`: [`sisal_tests::fuzz::filesystem`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::filesystem::run(data));
