//! Arbitrary bytes as a body that is written in other ways, too: the harness is the one that `tests/fuzz.rs` runs.
#![no_main]

#[path = "../../tests/support/differential.rs"]
mod differential;
#[path = "../../tests/support/random.rs"]
mod random;

libfuzzer_sys::fuzz_target!(|body: &[u8]| differential::differential(body));
