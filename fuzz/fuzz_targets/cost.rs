//! Any bytes as a body whose review has a limited cost. This target also limits the time of a review, on which no test
//! of the project depends.
#![no_main]

use std::time::{Duration, Instant};

use allocation_counter::measure;
use clusterprofile_webhook::{
    admission::respond,
    review::{Phase, Policy},
};
use jiff::Timestamp;
use testkit::fuzz::{self, Allocated, Lists};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    const BYTES: usize = 64 << 10;
    fuzz::cost(body, BYTES, allocated);
    let Ok(review) = serde_json::from_slice(body) else { return };
    for lists in Lists::ALL {
        let [one, four] = [BYTES, 4 * BYTES].map(|bytes| fuzz::grown(&review, lists, bytes));
        if four.len() < 3 * one.len() {
            continue;
        }
        for phase in [Phase::Mutate, Phase::Validate] {
            let [one, four] = [&one, &four].map(|body| fastest(body, phase));
            // Sixteen times the time would be quadratic. Short times are noise.
            assert!(
                four < Duration::from_millis(50) || four < 9 * one,
                "{phase}: {one:?}, and for four times the body {four:?}"
            );
        }
    }
});

fn allocated(run: &mut dyn FnMut()) -> Allocated {
    let info = measure(run);
    Allocated { peak: info.bytes_max, count: info.count_total, total: info.bytes_total }
}

fn fastest(body: &[u8], phase: Phase) -> Duration {
    let now = Timestamp::from_second(1_780_000_000).expect("2026 is in range");
    let run = || {
        let started = Instant::now();
        drop(respond(body, phase, &Policy::default(), now));
        started.elapsed()
    };
    [(); 3].map(|()| run()).into_iter().min().unwrap_or_default()
}
