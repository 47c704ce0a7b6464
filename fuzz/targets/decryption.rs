//! Both directions of a TLS connection whose secret is known.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sipwhy_fuzz::doors::decryption(bytes));
