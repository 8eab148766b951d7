//! A trace collector that is down, slow or sends errors.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::ChildStderr,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{client::Client, server::value_of, wait::wait_until};

use super::{
    REVIEW,
    process::{self, Program},
};

/// A listener that acts as a collector, and a server that exports to it.
fn with_collector(flags: &[&str]) -> (TcpListener, Program, BufReader<ChildStderr>) {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("--otlp-endpoint=http://{}", collector.local_addr().unwrap());
    let (program, log) = Program::start(&[&["--drain=0s", &endpoint], flags].concat());
    (collector, program, log)
}

fn dropped(program: &Program) -> u64 {
    value_of(program.admin, "dropped_spans_total")
}

/// A review with the headers of a traced API server.
fn review(client: &mut Client, traceparent: &str) {
    let length = REVIEW.len();
    let head =
        format!("POST /validate HTTP/1.1\r\nHost: a\r\nTraceparent: {traceparent}\r\nContent-Length: {length}\r\n\r\n");
    client.send(head.as_bytes()).unwrap();
    client.send(REVIEW).unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// Stops the program, which must exit with 0. Returns the warnings in its log.
fn warnings(mut program: Program, log: BufReader<ChildStderr>) -> Vec<Value> {
    program.signal("TERM");
    let lines = log.lines().map(|line| process::json(&line.unwrap()));
    let warnings = lines.filter(|line| line["level"] == "WARN").collect();
    assert_eq!(program.ended().code(), Some(0));
    warnings
}

#[test]
fn spans_lost_to_a_collector_that_is_down_are_counted_and_logged_once() {
    let (collector, program, log) = with_collector(&[]);
    drop(collector);
    let mut client = program.connect();
    review(&mut client, UNSAMPLED);
    for count in 1..=3 {
        review(&mut client, SAMPLED);
        wait_until("the span is counted", || dropped(&program) >= count);
        assert_eq!(dropped(&program), count, "and none that the caller does not record");
    }
    let warnings = warnings(program, log);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["message"], "span export failed; dropping spans");
    assert!(warnings[0]["error"].as_str().unwrap().contains("cannot connect: Connection refused"), "{warnings:?}");
}

#[test]
fn a_collector_that_never_responds_delays_no_review_and_no_exit() {
    let (collector, program, log) = with_collector(&[]);
    let mut client = program.connect();
    client.post("/validate", REVIEW).unwrap();
    let (stuck, _) = collector.accept().unwrap();
    wait_until("the queue is full", || {
        for _ in 0..500 {
            assert_eq!(client.post("/validate", REVIEW).unwrap().status, 200);
        }
        dropped(&program) > 0
    });
    let stopped = Instant::now();
    let warnings = warnings(program, log);
    assert!(warnings.len() <= 1, "{warnings:?}");
    assert!(stopped.elapsed() < Duration::from_secs(8), "sooner than it would give the collector up");
    drop(stuck);
}

#[test]
fn any_response_of_a_collector_only_drops_spans() {
    /// A response that a collector repeats while it is read.
    const ENDLESS: &str = "A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
    const FAILURES: [&str; 6] = [
        "",
        "no HTTP\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\n\r\n",
        "HTTP/1.1 503 Unavailable\r\nContent-Length: 1000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
    ];
    const SUCCESS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let (collector, program, log) = with_collector(&[]);
    let answering = thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in FAILURES.into_iter().chain([SUCCESS]) {
            let (mut stream, _) = collector.accept().unwrap();
            requests.push(request(&mut stream));
            let _ = stream.write_all(answer.as_bytes());
            // Until the program stops reading.
            while answer == FAILURES[5] && stream.write_all(ENDLESS.as_bytes()).is_ok() {}
        }
        requests
    });
    let mut client = program.connect();
    for count in 1..=6 {
        review(&mut client, SAMPLED);
        wait_until("the span is counted", || dropped(&program) == count);
    }
    review(&mut client, SAMPLED);
    let requests = answering.join().unwrap();
    assert_eq!(dropped(&program), 6);
    assert_eq!(warnings(program, log).len(), 1);
    for (head, body) in requests {
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
        let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736", "{span}");
    }
}

#[test]
fn the_span_of_an_exempt_namespace_only_says_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (exempt, expected) in [("default", json!({"boolValue": true})), ("another", Value::Null)] {
        fs::write(file.path(), format!("exemptNamespaces: [{exempt}]")).unwrap();
        let (collector, program, _log) = with_collector(&[&format!("--config={}", file.path().display())]);
        review(&mut program.connect(), SAMPLED);
        let (_, body) = request(&mut collector.accept().unwrap().0);
        let attributes = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"].as_array().unwrap();
        let value = |key: &str| {
            let attribute = attributes.iter().find(|attribute| attribute["key"] == key);
            attribute.map_or(Value::Null, |attribute| attribute["value"].clone())
        };
        assert_eq!(value("admission.namespace")["stringValue"], "default");
        assert_eq!(value("admission.exempt"), expected);
    }
}

/// A request with a lowercase head.
fn request(stream: &mut TcpStream) -> (String, Value) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
        head.make_ascii_lowercase();
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}
