//! The cost of a review in process, without TLS, HTTP and the log: `make bench-core`.
//!
//! Every figure is next to that of a scan of the same bytes that keeps nothing, the minimum for any reader of JSON.

use std::hint::black_box;

use clusterprofile_webhook::{
    admission,
    profile::{ClusterProfile, Field, Version},
    review::{self, Change, Effect, Part, Phase, Policy},
    rules::RULES,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use testkit::bodies::{BODIES, Counts, growing};

criterion_group!(benches, sizes, growth);
criterion_main!(benches);

const PHASES: [Phase; 2] = [Phase::Mutate, Phase::Validate];

/// The two objects of a review.
struct Objects<'a> {
    object: ClusterProfile<'a>,
    old_object: Option<ClusterProfile<'a>>,
    part: Part,
}

#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    request: Unread<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unread<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
    #[serde(borrow)]
    old_object: Option<&'a RawValue>,
    #[serde(default)]
    sub_resource: &'a str,
}

/// Measures a scan, reading both objects, the rules alone, the whole review, and `unruled`, the review without rules:
/// the cost of envelope and response is `unruled` without `parse`.
fn sizes(criterion: &mut Criterion) {
    let unruled = unruled();
    for (name, body) in BODIES {
        let body = body();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("scan", |bencher| {
            bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(&body)).expect("it is JSON"));
        });
        group.bench_function("parse", |bencher| bencher.iter(|| read(black_box(&body))));
        let request = read(&body);
        for phase in PHASES {
            let id = |part| BenchmarkId::new(part, phase);
            group.bench_function(id("rules"), |bencher| {
                bencher
                    .iter(|| review::review(RULES, &change(black_box(&request)), phase, &Policy::default(), &|| false));
            });
            group.bench_function(id("unruled"), |bencher| {
                bencher.iter(|| admission::respond(black_box(&body), phase, &unruled, now()).expect("it is a review"));
            });
            group.bench_function(id("review"), |bencher| {
                bencher.iter(|| {
                    admission::respond(black_box(&body), phase, &Policy::default(), now()).expect("it is a review")
                });
            });
        }
        group.finish();
    }
}

/// Measures the cost of each item of a list, which must not grow with the number of items.
fn growth(criterion: &mut Criterion) {
    for list in ["properties", "conditions", "providers"] {
        let mut group = criterion.benchmark_group(list);
        for count in [10, 100, 1000, 5000] {
            let body = growing(match list {
                "properties" => Counts { properties: count, ..Counts::default() },
                "conditions" => Counts { conditions: count, ..Counts::default() },
                _ => Counts { providers: count, ..Counts::default() },
            });
            group.throughput(Throughput::Elements(count as u64));
            for phase in PHASES {
                group.bench_function(BenchmarkId::new(phase.to_string(), count), |bencher| {
                    bencher.iter(|| {
                        admission::respond(black_box(&body), phase, &Policy::default(), now()).expect("it is a review")
                    });
                });
            }
        }
        group.finish();
    }
}

fn read(body: &[u8]) -> Objects<'_> {
    let Unread { object, old_object, sub_resource } =
        serde_json::from_slice::<Review<'_>>(body).expect("it is a review").request;
    let part = if sub_resource == "status" { Part::Status } else { Part::Main };
    Objects { object: profile(object), old_object: old_object.map(profile), part }
}

fn profile(object: &RawValue) -> ClusterProfile<'_> {
    match ClusterProfile::parse(object.get()) {
        Ok(Field::Set(profile)) => profile,
        _ => unreachable!("it is an object"),
    }
}

fn change<'a>(request: &'a Objects<'a>) -> Change<'a> {
    Change::new(request.part, Version::V1alpha1, &request.object, request.old_object.as_ref(), now())
}

fn unruled() -> Policy {
    let mut policy = Policy::default();
    for rule in RULES {
        policy.set(rule, Effect::Off);
    }
    policy
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("it is a time")
}
