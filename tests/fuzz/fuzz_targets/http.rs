//! The target `http`: [`sisal_tests::fuzz::http`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::http::run(data));
