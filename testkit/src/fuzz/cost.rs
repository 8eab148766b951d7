//! The cost of a body: the memory of its review, the size of its response, and how both grow with the size of the body.

use clusterprofile_webhook::{
    admission,
    review::{Phase, Policy},
};
use jiff::Timestamp;
use serde_json::Value;

/// Most bytes of memory for each byte of a body.
const MEMORY_PER_BYTE: u64 = 12;

/// Most bytes of memory for a review in addition: its findings and its response.
const MEMORY: u64 = 1 << 20;

/// Most bytes of a response with its envelope.
const ANSWER: usize = 256 << 10;

/// How many times as much a body of four times the size may cost. It is more than four because tables double.
const GROWTH: u64 = 6;

/// What a review has allocated, as the counting allocator of the program reports it.
///
/// The kit has no such allocator: every program that uses the kit would run with it.
#[derive(Clone, Copy, Debug)]
pub struct Allocated {
    /// The peak, in bytes.
    pub peak: u64,
    /// The number of allocations.
    pub count: u64,
    /// All allocations, in bytes.
    pub total: u64,
}

/// The lists of a body that grow.
#[derive(Clone, Copy, Debug)]
pub enum Lists {
    /// Lists that are in no other list.
    Outer,
    /// Lists that contain no other list.
    Inner,
    /// Lists that contain no other list, to a fixed length; then lists that are in no other list.
    Both,
}

impl Lists {
    pub const ALL: [Self; 3] = [Self::Outer, Self::Inner, Self::Both];
}

/// Reviews `body` with its lists grown to `bytes` and to four times as many, and checks the cost. `measure` runs a
/// function and returns what it has allocated.
///
/// # Panics
///
/// Panics if a review takes too much memory, its response is too large, or either grows faster than the body.
pub fn cost(body: &[u8], bytes: usize, measure: fn(&mut dyn FnMut()) -> Allocated) {
    let Ok(review) = serde_json::from_slice::<Value>(body) else { return };
    for lists in Lists::ALL {
        let [one, four] = [bytes, 4 * bytes].map(|bytes| grown(&review, lists, bytes));
        if four.len() < one.len() * 3 {
            // The body has no list of this kind.
            continue;
        }
        for phase in [Phase::Mutate, Phase::Validate] {
            let [(small, _), (large, answer)] = [&one, &four].map(|body| review_of(body, phase, measure));
            let most = MEMORY + MEMORY_PER_BYTE * four.len() as u64;
            let used = large.peak;
            assert!(used <= most, "{phase}: {used} bytes of memory for {} of a body", four.len());
            assert!(answer <= ANSWER, "{phase}: an answer of {answer} bytes to {}", four.len());
            // Small numbers may grow by more, because the first items make tables.
            let more = (four.len() - one.len()) as u64;
            for (what, small, large) in [
                ("allocations", small.count.max(more / 32), large.count),
                ("allocated bytes", small.total.max(4 * more), large.total),
            ] {
                assert!(
                    large <= GROWTH * small,
                    "{phase}: {what}: {small}, and for a body four times as large {large}"
                );
            }
        }
    }
}

fn review_of(body: &[u8], phase: Phase, measure: fn(&mut dyn FnMut()) -> Allocated) -> (Allocated, usize) {
    let now = Timestamp::from_second(1_780_000_000).expect("2026 is in range");
    let policy = Policy::default();
    let mut size = 0;
    let used =
        measure(&mut || size = admission::respond(body, phase, &policy, now).map_or(0, |answer| answer.body.len()));
    (used, size)
}

/// Repeats the items of the lists in the status of `review` until it has about `bytes`, and returns it as JSON. Every
/// second repetition gets new names.
pub fn grown(review: &Value, lists: Lists, bytes: usize) -> Vec<u8> {
    let size = |times: usize| {
        let mut review = review.clone();
        for object in ["object", "oldObject"] {
            // Most of the metadata is never read.
            if let Some(status) = review["request"].get_mut(object).and_then(|object| object.get_mut("status")) {
                repeat(status, lists, times);
            }
        }
        serde_json::to_vec(&review).expect("a value is JSON")
    };
    let (once, twice) = (size(1), size(2));
    let more = twice.len().saturating_sub(once.len());
    let times = bytes.saturating_sub(once.len()).checked_div(more);
    times.map_or(once, |times| size(1 + times))
}

fn repeat(value: &mut Value, lists: Lists, times: usize) {
    /// Many, and fewer than the number of items that are read of a list.
    const INNER: usize = 100;
    if let Lists::Both = lists {
        repeat(value, Lists::Inner, INNER);
        return repeat(value, Lists::Outer, times);
    }
    match value {
        Value::Array(items) if matches!(lists, Lists::Outer) || !items.iter().any(has_list) => {
            let first = items.clone();
            for number in 1..times {
                items.extend(first.iter().cloned().map(|mut item| {
                    for key in ["name", "type"] {
                        if let Some(Value::String(name)) = item.get_mut(key).filter(|_| number % 2 == 0) {
                            name.push_str(&number.to_string());
                        }
                    }
                    item
                }));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| repeat(item, lists, times)),
        Value::Object(fields) => fields.values_mut().for_each(|value| repeat(value, lists, times)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn has_list(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(fields) => fields.values().any(has_list),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
