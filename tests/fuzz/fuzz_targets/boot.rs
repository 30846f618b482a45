//! The target `boot`: [`sisal_tests::fuzz::boot`] says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sisal_tests::fuzz::boot::run(data));
