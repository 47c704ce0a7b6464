//! Frames, from link layer to transport.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sipwhy_fuzz::doors::link(bytes));
