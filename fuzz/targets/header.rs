//! A value of each header.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sipwhy_fuzz::doors::header(bytes));
