//! Any bytes as the body of a request.
#![no_main]

use testkit::fuzz;

libfuzzer_sys::fuzz_target!(|body: &[u8]| fuzz::admission(body));
