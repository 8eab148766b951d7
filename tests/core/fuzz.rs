//! Bounded runs of the fuzz harnesses, on the recorded admission reviews and on damaged copies of them. Every run is
//! the same.

#![expect(clippy::indexing_slicing, clippy::print_stdout, reason = "a test fails by a panic, and prints the body")]

use std::{fs, iter, panic};

use allocation_counter::measure;
use clusterprofile_webhook::{
    admission::respond,
    review::{Phase, Policy},
};
use serde_json::{Value, json};
use testkit::{
    fuzz::{self, Allocated},
    random::Random,
    root,
};

/// Enough to apply every kind of damage to every seed more than once, within seconds without optimization.
const ROUNDS_PER_SEED: usize = 40;

#[test]
fn recorded_reviews_have_every_property() {
    for (name, seed) in seeds() {
        run(&name, &seed, fuzz::admission);
    }
}

#[test]
fn reviews_with_damaged_bytes_have_every_property() {
    broken_bytes(0x5EED, ROUNDS_PER_SEED, |name, body| run(name, body, fuzz::admission));
}

#[test]
fn reviews_with_damaged_values_have_every_property() {
    broken_values(0xBEEF, ROUNDS_PER_SEED, |name, body| run(name, body, fuzz::admission));
}

#[test]
fn the_same_json_gets_the_same_response_in_any_style() {
    for (name, seed) in seeds() {
        run(&name, &seed, fuzz::differential);
    }
    broken_bytes(0xD1FF, 10, |name, body| run(name, body, fuzz::differential));
    broken_values(0xFFD1, 15, |name, body| run(name, body, fuzz::differential));
}

#[test]
fn the_cost_of_a_review_is_linear_in_its_body() {
    /// Enough to detect quadratic growth, within seconds without optimization.
    const BYTES: usize = 16 << 10;
    let cost = |body: &[u8]| fuzz::cost(body, BYTES, allocated);
    for (name, seed) in seeds() {
        run(&name, &seed, cost);
    }
    broken_values(0xC057, 2, |name, body| run(name, body, cost));
}

fn allocated(run: &mut dyn FnMut()) -> Allocated {
    let info = measure(run);
    Allocated { peak: info.bytes_max, count: info.count_total, total: info.bytes_total }
}

fn broken_bytes(seed: u64, rounds: usize, run: impl Fn(&str, &[u8])) {
    let (seeds, mut random) = (seeds(), Random(seed));
    for (name, seed) in &seeds {
        for round in 0..rounds {
            let (_, other) = random.one_of(&seeds);
            run(&format!("{name}, bytes, round {round}"), &with_broken_bytes(seed, other, &mut random));
        }
    }
}

fn broken_values(seed: u64, rounds: usize, run: impl Fn(&str, &[u8])) {
    let (seeds, mut random) = (seeds(), Random(seed));
    for (name, seed) in &seeds {
        let review: Value = serde_json::from_slice(seed).expect("it is JSON");
        for round in 0..rounds {
            let mut broken = review.clone();
            for _ in 0..=random.below(3) {
                break_a_value(&mut broken["request"], &mut random);
            }
            run(&format!("{name}, values, round {round}"), &serde_json::to_vec(&broken).expect("it is JSON"));
        }
    }
}

/// Runs a harness. If it panics, prints the body.
fn run(name: &str, body: &[u8], harness: impl Fn(&[u8]) + panic::RefUnwindSafe) {
    if let Err(panic) = panic::catch_unwind(|| harness(body)) {
        println!("{name}:\n{}", String::from_utf8_lossy(body));
        panic::resume_unwind(panic);
    }
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let folder = root().join("tests/data/admission-reviews");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the recorded reviews are there")
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    paths.sort();
    assert!(paths.len() > 40, "only {} recorded reviews", paths.len());
    paths
        .into_iter()
        .map(|path| {
            let body = fs::read(&path).expect("a recorded review can be read");
            (path.display().to_string(), body)
        })
        .collect()
}

fn with_broken_bytes(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut body = seed.to_vec();
    let at = random.below(body.len());
    match random.below(5) {
        0 => body[at] ^= 1 << random.below(8),
        1 => body.truncate(at),
        2 => body.splice(at.., other[random.below(other.len())..].iter().copied()).for_each(drop),
        3 => body.splice(at..at, *random.one_of(&[*b"\0\0", *b"\xFF\xFE", *b"\"\"", *b"{}", *b"[,"])).for_each(drop),
        _ => {
            let to = (at + random.below(200)).min(body.len());
            let piece = body[at..to].to_vec();
            body.splice(at..at, piece).for_each(drop);
        }
    }
    body
}

/// Replaces, removes or duplicates one value somewhere below `value`.
fn break_a_value(value: &mut Value, random: &mut Random) {
    let stop = random.below(4) == 0;
    match value {
        Value::Object(fields) if !stop && !fields.is_empty() => {
            let key = fields.keys().nth(random.below(fields.len())).expect("it is within the length").clone();
            if random.below(12) == 0 {
                fields.remove(&key);
            } else {
                break_a_value(&mut fields[&key], random);
            }
        }
        Value::Array(items) if !stop && !items.is_empty() => {
            let index = random.below(items.len());
            if random.below(6) == 0 {
                items.push(items[index].clone());
            } else {
                break_a_value(&mut items[index], random);
            }
        }
        other => *other = odd_value(random),
    }
}

fn odd_value(random: &mut Random) -> Value {
    match random.below(16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(false),
        3 => json!(0),
        4 => json!(-1),
        5 => json!(1e300),
        6 => json!(""),
        7 => json!("UPDATE"),
        8 => json!("a\nb\u{7}"),
        9 => json!("é".repeat(2000)),
        10 => json!("2026-05-28T20:26:40Z"),
        11 => json!([]),
        12 => json!({}),
        13 => json!([null, true, {}, []]),
        14 => json!([{ "name": "x", "type": "x" }, { "name": "x", "type": "x", "status": true }]),
        _ => iter::repeat_n((), 100).fold(json!({}), |inner, ()| json!({ "name": inner })),
    }
}

#[test]
fn the_worst_shapes_cost_no_more() {
    for (name, status) in [
        (
            "zeros in extensions",
            json!({"accessProviders":[{"name":"a","cluster":{"server":"https://a","extensions":[0,0]}}]}),
        ),
        ("empty props", json!({"properties":[{},{}]})),
        ("props zeros", json!({"properties":[0,0]})),
        ("cond", json!({"conditions":[0,0]})),
        ("ap", json!({"accessProviders":[0,0]})),
        ("ap2", json!({"accessProviders":[{},{}]})),
        ("cp", json!({"credentialProviders":[{},{}]})),
        ("names", json!({"properties":[{"name":"x".repeat(253),"value":"y"}]})),
        (
            "key",
            json!({"properties":[{"name":"id.k8s.io","value":"A".repeat(1024)},{"name":"id.k8s.io","value":"A".repeat(1024)}]}),
        ),
        ("bad names", json!({"properties":[{"name":"id k8s.io","value":""}]})),
    ] {
        let mut review: Value =
            serde_json::from_slice(&fs::read("tests/data/admission-reviews/status-update-validate.json").unwrap())
                .unwrap();
        review["request"]["object"]["status"] = status;
        run(name, review.to_string().as_bytes(), |body| fuzz::cost(body, 64 << 10, allocated));
    }
}

#[test]
fn the_shortest_items_take_at_most_nine_bytes_of_memory_for_each_of_theirs() {
    /// Most bytes of memory for each byte of a body.
    const MOST: usize = 9;
    /// Bytes of a body.
    const BYTES: usize = 100_000;
    /// Bytes that a review of any size may take: a hundred findings of each of six rules, with their texts.
    const BASE: usize = 384 << 10;
    let now = "2026-11-24T12:00:00Z".parse().expect("it is a time");
    let of_names = [
        "0",
        "{}",
        r#"{"name":0}"#,
        r#"{"name":""}"#,
        r#"{"name":"\n"}"#,
        r#"{"value":0}"#,
        r#"{"cluster":{}}"#,
        r#"{"cluster":{"server":0}}"#,
        r#"{"cluster":{"extensions":[0]}}"#,
        r#"{"cluster":{"extensions":[{"name":""}]}}"#,
        r#"{"cluster":{"extensions":[{"extension":0}]}}"#,
    ];
    let of_types = ["0", "{}", r#"{"type":0}"#, r#"{"type":""}"#, r#"{"status":true}"#, r#"{"message":0}"#];
    let lists = ["properties", "accessProviders", "credentialProviders"].map(|list| (list, &of_names[..]));
    for (list, items) in lists.into_iter().chain([("conditions", &of_types[..])]) {
        for item in items {
            for objects in [1, 2] {
                let items = vec![*item; BYTES / objects / (item.len() + 1)].join(",");
                let status = |is_there: bool| if is_there { format!(r#"{{"{list}":[{items}]}}"#) } else { "{}".into() };
                let body = format!(
                    r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","kind":{{"group":"multicluster.x-k8s.io","version":"v1alpha1","kind":"ClusterProfile"}},"subResource":"status","operation":"UPDATE","object":{{"status":{}}},"oldObject":{{"status":{}}}}}}}"#,
                    status(true),
                    status(objects == 2),
                );
                for phase in [Phase::Mutate, Phase::Validate] {
                    let used = measure(|| {
                        respond(body.as_bytes(), phase, &Policy::default(), now).expect("it is a review");
                    });
                    let most = BASE + MOST * body.len();
                    let used = usize::try_from(used.bytes_max).expect("it fits into memory");
                    assert!(used <= most, "{phase} of {list} of {item} in {objects}: {used} bytes of at most {most}");
                }
            }
        }
    }
}
