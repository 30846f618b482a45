//! The target `preview2`: [`sisal_tests::fuzz::preview2`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::preview2::run(data));
