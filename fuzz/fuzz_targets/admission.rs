//! Arbitrary bytes as the body of a call: the harness is the one that `tests/fuzz.rs` runs a bounded number of times.
#![no_main]

#[path = "../../tests/support/harness.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|body: &[u8]| harness::admission(body));
