//! A stream, cut into messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sipwhy_fuzz::doors::stream(bytes));
