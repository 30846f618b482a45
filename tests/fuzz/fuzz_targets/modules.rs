//! The target `modules`: [`sisal_tests::fuzz::modules`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::modules::run(data));
