//! Slow, large and many bodies.

use std::time::{Duration, Instant};

use clusterprofile_webhook::server::{Config, Limits};
use serde_json::{Value, json};
use testkit::{client::Client, server::Server, wait::wait_until};

use super::{REVIEW, connect, head, limited, metric};

#[test]
fn a_slow_body_gets_a_retryable_response_by_its_deadline() {
    let server = Server::start(Config::default());
    let mut client = connect(&server);
    let started = Instant::now();
    client.send(head("/validate?timeout=5s", 1000).as_bytes()).unwrap();
    client.send(b"{").unwrap();
    let answer = client.response().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "before the API server gives up");
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains(&"retry-after: 1".to_owned()));
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(503)));
    assert!(metric(&server, "clusterprofile_webhook_shed_requests_total{reason=\"deadline\"} 1"));
}

#[test]
fn announced_bytes_reserve_no_memory_and_a_full_queue_rejects_at_once() {
    // Three quarters are for bodies that are so much larger than a share.
    let limits = Limits { in_flight: 1320, queue: 0, ..Limits::default() };
    let server = Server::start(limited(limits));
    let announcing: Vec<_> = (0..8)
        .map(|_| {
            let mut client = connect(&server);
            client.send(head("/validate?timeout=30s", 8 << 20).as_bytes()).unwrap();
            client
        })
        .collect();
    let small = br#"{"kind":"AdmissionReview"}"#;
    assert_eq!(connect(&server).post("/validate", small).unwrap().status, 400, "there is room");
    let mut holding = connect(&server);
    holding.send(head("/validate?timeout=30s", 2000).as_bytes()).unwrap();
    holding.send(&[b' '; 990]).unwrap();
    wait_until("the room is taken, and a full queue sheds", || {
        let answer = connect(&server).post("/validate?timeout=30s", small).unwrap();
        answer.status == 503 && answer.head.contains(&"retry-after: 1".to_owned())
    });
    assert!(metric(&server, "clusterprofile_webhook_shed_requests_total{reason=\"queue_full\"} 1"));
    wait_until("what is taken is what has come", || metric(&server, "clusterprofile_webhook_in_flight_bytes 990"));
    assert!(metric(&server, "clusterprofile_webhook_in_flight_limit_bytes 1320"));
    drop(holding);
    wait_until("the room is given back", || connect(&server).post("/validate", small).unwrap().status == 400);
    drop(announcing);
}

#[test]
fn bodies_that_fill_the_budget_together_all_get_a_response() {
    let patient = Duration::from_mins(1);
    let server = Server::start(limited(Limits { in_flight: 5334, slow_body_grace: patient, ..Limits::default() }));
    let mut body = REVIEW.to_vec();
    body.resize(3000, b' ');
    let mut clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = connect(&server);
            client.send(head("/validate?timeout=30s", body.len()).as_bytes()).unwrap();
            client.send(&body).unwrap();
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.response().unwrap().status, 200);
    }
}

/// Clients that announce a large body, send a part of it, and stall.
fn stalling(server: &Server, count: usize, announced: usize, sent: usize) -> Vec<Client> {
    let stalling = (0..count).map(|_| {
        let mut client = connect(server);
        client.send(head("/validate?timeout=30s", announced).as_bytes()).unwrap();
        client.send(&vec![b' '; sent]).unwrap();
        client
    });
    stalling.collect()
}

/// A review of at least `length` bytes.
fn padded(length: usize) -> Vec<u8> {
    let mut body = REVIEW.to_vec();
    body.resize(length, b' ');
    body
}

#[test]
fn a_body_within_its_share_never_waits() {
    let patient = Duration::from_mins(1);
    let limits = Limits { in_flight: 256 << 10, connections: 16, slow_body_grace: patient, ..Limits::default() };
    let server = Server::start(limited(limits));
    let stalling = stalling(&server, 8, 8 << 20, 60_000);
    let large = connect(&server).post("/validate?timeout=1s", &padded(20_000)).unwrap();
    assert_eq!(large.status, 503, "the room is taken");
    for _ in 0..3 {
        assert_eq!(connect(&server).post("/validate?timeout=30s", &padded(8 << 10)).unwrap().status, 200);
    }
    assert!(metric(&server, "clusterprofile_webhook_shed_requests_total{reason=\"slow_body\"} 0"));
    drop(stalling);
}

#[test]
fn the_largest_bodies_do_not_delay_the_others() {
    let patient = Duration::from_mins(1);
    let limits = Limits { in_flight: 1 << 20, connections: 64, slow_body_grace: patient, ..Limits::default() };
    let server = Server::start(limited(limits));
    let stalling = stalling(&server, 1, 8 << 20, 500_000);
    wait_until("their room is taken", || {
        connect(&server).post("/validate?timeout=1s", &padded(100_000)).unwrap().status == 503
    });
    let share = 8 << 10;
    assert_eq!(connect(&server).post("/validate?timeout=30s", &padded(share + 2000)).unwrap().status, 200);
    drop(stalling);
}

#[test]
fn announced_bytes_that_do_not_arrive_take_no_memory() {
    let patient = Duration::from_mins(1);
    let limits = Limits { in_flight: 768 << 10, connections: 64, slow_body_grace: patient, ..Limits::default() };
    let server = Server::start(limited(limits));
    let stalling = stalling(&server, 16, 200_000, 8000);
    assert_eq!(connect(&server).post("/validate?timeout=30s", &padded(100_000)).unwrap().status, 200);
    drop(stalling);
}

#[test]
fn a_stalled_body_releases_its_memory_to_waiting_ones() {
    let server = Server::start(limited(Limits { in_flight: 256 << 10, connections: 64, ..Limits::default() }));
    let mut stalling = stalling(&server, 4, 8 << 20, 60_000);
    assert_eq!(connect(&server).post("/validate?timeout=30s", &padded(100_000)).unwrap().status, 200);
    let answer = stalling[0].response().unwrap();
    assert_eq!((answer.status, answer.closes()), (503, true));
    assert!(answer.head.contains(&"retry-after: 1".to_owned()));
}

#[test]
fn a_received_body_does_not_wait_for_memory() {
    let limits =
        Limits { in_flight: 256 << 10, connections: 64, slow_body_grace: Duration::from_mins(1), ..Limits::default() };
    let server = Server::start(limited(limits));
    let mut ending = connect(&server);
    let head = "POST /validate?timeout=30s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = padded(4000);
    ending.send(format!("{head}{:x}\r\n", body.len()).as_bytes()).unwrap();
    ending.send(&body).unwrap();
    let stalling = stalling(&server, 2, 8 << 20, 60_000);
    wait_until("the room is taken", || {
        connect(&server).post("/validate?timeout=1s", &padded(20_000)).unwrap().status == 503
    });
    ending.send(b"\r\n0\r\n\r\n").unwrap();
    assert_eq!(ending.response().unwrap().status, 200);
    drop(stalling);
}
