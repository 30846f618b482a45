//! The target `preview1`: [`sisal_tests::fuzz::preview1`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::preview1::run(data));
