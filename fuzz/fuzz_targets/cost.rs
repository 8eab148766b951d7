//! Arbitrary bytes as a body that must not be dear: the harness is the one that `tests/fuzz.rs` runs, and time, which no test
//! of this project may depend on.
#![no_main]

use std::time::{Duration, Instant};

use clusterprofile_webhook::{
    admission::respond,
    review::{Phase, Policy},
};
use jiff::Timestamp;

#[path = "../../tests/support/cost.rs"]
mod cost;

use self::cost::Lists;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    const BYTES: usize = 64 << 10;
    cost::cost(body, BYTES);
    let Ok(review) = serde_json::from_slice(body) else { return };
    for lists in Lists::ALL {
        let [one, four] = [BYTES, 4 * BYTES].map(|bytes| cost::grown(&review, lists, bytes));
        if four.len() < 3 * one.len() {
            continue;
        }
        for phase in [Phase::Mutate, Phase::Validate] {
            let [one, four] = [&one, &four].map(|body| fastest(body, phase));
            // Four times the body: sixteen times the time is a square. What is fast is noise.
            assert!(
                four < Duration::from_millis(50) || four < 9 * one,
                "{phase}: {one:?}, and for four times the body {four:?}"
            );
        }
    }
});

fn fastest(body: &[u8], phase: Phase) -> Duration {
    let now = Timestamp::from_second(1_780_000_000).expect("2026 is in range");
    let run = || {
        let started = Instant::now();
        drop(respond(body, phase, &Policy::default(), now));
        started.elapsed()
    };
    [(); 3].map(|()| run()).into_iter().min().unwrap_or_default()
}
