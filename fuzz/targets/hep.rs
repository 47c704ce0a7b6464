//! HEP packets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sipwhy_fuzz::doors::hep(bytes));
