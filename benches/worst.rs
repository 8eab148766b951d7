//! The cost of the worst bodies, compared with the limits that the project promises: `make bench-worst`.
//!
//! `cargo bench --bench worst -- WORD` measures only the shapes with WORD in their names.
//!
//! Time is the best of a few runs on one thread. Memory is the peak of the allocator. Times are too long if other
//! programs run; `make instructions` counts instructions instead.

#![expect(clippy::print_stdout, reason = "a table is what it is run for")]

use std::{env, fs, process::ExitCode, time::Duration};

use allocation_counter::measure;
use clusterprofile_webhook::admission;
use jiff::Timestamp;
use testkit::worst::{REVIEWS, Review, SHAPES, Shape};

/// Maximum nanoseconds for each byte of a body.
const NANOSECONDS: f64 = 600.0;

/// Maximum bytes of memory for each byte of a body, without the body.
const BYTES: f64 = 12.0;

/// Maximum bytes of a response.
const ANSWER: usize = 256 << 10;

/// How much more each byte may cost at twice the size: the logarithm of a sort, caches, a busy machine.
const GROWTH: f64 = 1.5;

/// Maximum memory of a review of any size, in addition.
const BASE: usize = 256 << 10;

const SIZES: [usize; 4] = [150_000, 300_000, 1 << 20, (8 << 20) - 4096];

/// The cost of one review.
struct Cost {
    bytes: usize,
    time: Duration,
    memory: usize,
    answer: usize,
}

fn main() -> ExitCode {
    // Cargo adds the flag for harnesses that share a binary with tests.
    let word = env::args().skip(1).find(|arg| arg != "--bench").unwrap_or_default();
    println!(
        "{:50} {:14} {:>9} {:>8} {:>7} {:>10} {:>8}",
        "shape", "review", "bytes", "ns/byte", "growth", "bytes/byte", "answer"
    );
    let mut broken = false;
    for shape in SHAPES.iter().filter(|shape| shape.name.contains(&word)) {
        for version in ["v1alpha1", "v1alpha2"] {
            for review in REVIEWS {
                broken |= !holds(shape, version, review);
            }
        }
    }
    if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Checks the limits of a shape at every size. Prints the rows of v1alpha1, and all that exceed a limit.
fn holds(shape: &Shape, version: &str, review: &Review) -> bool {
    let mut last: Option<f64> = None;
    let mut all_hold = true;
    for size in SIZES {
        let cost = cost(&shape.body(version, size), review);
        let (time, memory) = (per_byte(cost.time.as_nanos(), &cost), per_byte(cost.memory.saturating_sub(BASE), &cost));
        // For such short times, a growth is a few nanoseconds, which other programs cause.
        let growth = Some(time).filter(|time| *time > 100.0).and_then(|time| last.map(|last| time / last));
        last = Some(time);
        let is_kept = time <= NANOSECONDS
            && memory <= BYTES
            && cost.answer <= ANSWER
            && growth.is_none_or(|growth| growth <= GROWTH);
        all_hold &= is_kept;
        if version == "v1alpha1" || !is_kept {
            println!(
                "{:50} {:14} {:>9} {time:>8.1} {:>7} {memory:>10.1} {:>8} {}",
                shape.name,
                review.name,
                cost.bytes,
                growth.map_or("-".into(), |growth| format!("{growth:.2}")),
                cost.answer,
                if is_kept { "" } else { "TOO MUCH" },
            );
        }
    }
    all_hold
}

fn cost(body: &[u8], review: &Review) -> Cost {
    const RUNS: usize = 3;
    let policy = review.policy();
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("it is a time");
    let mut cost = Cost { bytes: body.len(), time: Duration::MAX, memory: 0, answer: 0 };
    for _ in 0..RUNS {
        let started = on_cpu();
        let response = admission::respond(body, review.phase, &policy, now).expect("it is a review");
        cost.time = cost.time.min(on_cpu().saturating_sub(started));
        cost.answer = response.body.len();
    }
    let memory = measure(|| drop(admission::respond(body, review.phase, &policy, now)));
    cost.memory = usize::try_from(memory.bytes_max).unwrap_or(usize::MAX);
    cost
}

/// CPU time of this thread (Linux). Other programs affect it only through the caches.
fn on_cpu() -> Duration {
    let schedule = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps it for every thread");
    let nanoseconds = schedule.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("its first field is a number"))
}

#[expect(clippy::cast_precision_loss, reason = "costs and sizes are far below 2^52")]
fn per_byte(cost: impl TryInto<u64>, of: &Cost) -> f64 {
    cost.try_into().unwrap_or(u64::MAX) as f64 / of.bytes as f64
}
