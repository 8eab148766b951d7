//! Any bytes as a body, compared with the same JSON in other styles.
#![no_main]

use testkit::fuzz;

libfuzzer_sys::fuzz_target!(|body: &[u8]| fuzz::differential(body));
