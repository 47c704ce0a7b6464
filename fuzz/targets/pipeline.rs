//! A capture, from its bytes to the reports.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sipwhy_fuzz::doors::pipeline(bytes));
