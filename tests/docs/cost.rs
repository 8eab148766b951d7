//! Generator for the figures of `make bench`, `make bench-memory` and `make bench-start`.
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

use std::fs;

use serde_json::Value;

use super::blocks::table;

pub(crate) fn cost() -> String {
    let [latency, memory, start] = ["latency", "memory", "start"].map(results);
    let rows = items(&latency["figures"]).filter(|row| row["connections"] == 8 && row["rate"].is_null()).map(|row| {
        let (webhook, floor) = (&row["webhook"], &row["floor"]);
        [
            format!("{} {}", text(&row["body"]), text(&row["path"])),
            format!("{:.1} µs", number(&webhook["cpu_micros"])),
            format!("{:.1} µs", number(&floor["cpu_micros"])),
            format!("**{:.2}**", number(&row["multiple"])),
            format!("{:.0}", number(&webhook["requests_per_second"])),
            format!("{:.0} / {:.0} µs", number(&webhook["p50_micros"]), number(&webhook["p99_micros"])),
        ]
    });
    let cost = table(["review", "CPU", "floor", "multiple", "reviews/s", "p50 / p99"], rows);
    let (memory_figures, start_figures) = (&memory["figures"], &start["figures"]);
    let keeps = [
        ("resident before any connection", megabytes(&memory_figures["fresh"])),
        ("resident after the first reviews", megabytes(&memory_figures["idle"])),
        ("maximum with 64 concurrent reviews of 2.4 MB", megabytes(&memory_figures["large_peak"])),
        ("a minute later, with 64 connections open", megabytes(&memory_figures["large_after"])),
        ("maximum over 100,000 mixed reviews", megabytes(&memory_figures["mixed_peak"])),
        ("from exec to the first answered review", format!("{:.0} ms", number(&start_figures["webhook_millis"]))),
        ("the binary", megabytes(&start_figures["binary_bytes"])),
    ];
    let keeps = table(["", "measured"], keeps.map(|(what, measured)| [what.to_owned(), measured]).into_iter());
    let (machine, commit) = (&latency["machine"], text(&latency["commit"]));
    format!(
        "{cost}\n{keeps}\nCommit {commit}, {} cores of an {} with Linux {}; {} alternating rounds, medians.",
        machine["cores"],
        text(&machine["cpu"]),
        text(&machine["kernel"]).split('-').next().unwrap_or_default(),
        latency["rounds"],
    )
}

fn results(name: &str) -> Value {
    let text = fs::read_to_string(format!("benches/results/{name}.json")).expect("`make bench` has made it");
    serde_json::from_str(&text).expect("the benchmarks write JSON")
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().expect("figures are a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a string")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("it is a number")
}

fn megabytes(bytes: &Value) -> String {
    format!("{:.1} MB", number(bytes) / 1e6)
}
