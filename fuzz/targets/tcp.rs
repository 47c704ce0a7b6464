//! Segments of a TCP connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sipwhy_fuzz::doors::tcp(bytes));
