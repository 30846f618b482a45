//! The target `components`: [`sisal_tests::fuzz::components`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::components::run(data));
