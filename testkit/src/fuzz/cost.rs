//! What a body costs: the memory of its review and the size of its answer, and that both grow with its size alone. `fuzz/`
//! runs it without end, `tests/fuzz.rs` a bounded number of times.

use allocation_counter::{AllocationInfo, measure};
use clusterprofile_webhook::{
    admission,
    review::{Phase, Policy},
};
use jiff::Timestamp;
use serde_json::Value;

/// Most bytes of memory for each byte of a body.
const MEMORY_PER_BYTE: u64 = 12;

/// Most bytes of memory for a review beside that: what is told, and the answer.
const MEMORY: u64 = 1 << 20;

/// Most bytes of an answer, envelope and all.
const ANSWER: usize = 256 << 10;

/// A body that is four times as large may cost so many times as much: tables double.
const GROWTH: u64 = 6;

/// Which lists of a body grow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lists {
    /// Those that are in no other.
    Outer,
    /// Those that hold no other.
    Inner,
    /// Those that hold no other a little, then those that are in no other.
    Both,
}

impl Lists {
    pub(crate) const ALL: [Self; 3] = [Self::Outer, Self::Inner, Self::Both];
}

/// Panics where a review of `body`, its lists grown to `bytes` and to four times as many, costs more than it may.
pub(crate) fn cost(body: &[u8], bytes: usize) {
    let Ok(review) = serde_json::from_slice::<Value>(body) else { return };
    for lists in Lists::ALL {
        let [one, four] = [bytes, 4 * bytes].map(|bytes| grown(&review, lists, bytes));
        if four.len() < one.len() * 3 {
            // It has no list that grows.
            continue;
        }
        for phase in [Phase::Mutate, Phase::Validate] {
            let [(small, _), (large, answer)] = [&one, &four].map(|body| review_of(body, phase));
            let most = MEMORY + MEMORY_PER_BYTE * four.len() as u64;
            let used = large.bytes_max;
            assert!(used <= most, "{phase}: {used} bytes of memory for {} of a body", four.len());
            assert!(answer <= ANSWER, "{phase}: an answer of {answer} bytes to {}", four.len());
            // What is little may grow by more: the first items make tables.
            let more = (four.len() - one.len()) as u64;
            for (what, small, large) in [
                ("allocations", small.count_total.max(more / 32), large.count_total),
                ("allocated bytes", small.bytes_total.max(4 * more), large.bytes_total),
            ] {
                assert!(
                    large <= GROWTH * small,
                    "{phase}: {what}: {small}, and for a body four times as large {large}"
                );
            }
        }
    }
}

fn review_of(body: &[u8], phase: Phase) -> (AllocationInfo, usize) {
    let now = Timestamp::from_second(1_780_000_000).expect("2026 is in range");
    let policy = Policy::default();
    let mut size = 0;
    let used = measure(|| size = admission::respond(body, phase, &policy, now).map_or(0, |answer| answer.body.len()));
    (used, size)
}

/// `review` with its lists repeated, so that it has about `bytes`; each second item gets a name of its own.
pub(crate) fn grown(review: &Value, lists: Lists, bytes: usize) -> Vec<u8> {
    let size = |times: usize| {
        let mut review = review.clone();
        for object in ["object", "oldObject"] {
            // Of what is in metadata the most is passed over.
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
    /// Many, and fewer than are read of a list.
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
