//! What libFuzzer feeds to sipwhy. How to run it: `fuzz/run`, and CONTRIBUTING.md.
#![forbid(unsafe_code)]

pub mod doors;
