//! The target `p9`: [`sisal_tests::fuzz::p9`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::p9::run(data));
