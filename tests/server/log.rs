//! What does not fill the log: probes, scanners, and repeated denials.

use std::{
    io::{BufRead as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use serde_json::Value;
use testkit::server::{get, value_of};

use super::{
    REVIEW,
    process::{Program, json},
};

#[test]
fn after_a_burst_one_denial_a_second_is_logged_and_all_are_counted() {
    const BURST: u64 = 100;
    const DENIALS: u64 = 400;
    let (mut program, log) = Program::start(&["--drain=0s"]);
    let mut client = program.connect();
    let started = Instant::now();
    for _ in 0..DENIALS {
        assert_eq!(client.post("/validate", REVIEW).unwrap().status, 200);
    }
    let seconds = started.elapsed().as_secs() + 1;
    assert_eq!(client.post("/mutate", REVIEW).unwrap().status, 200);
    assert_eq!(value_of(program.admin, "reviews_total{phase=\"validate\",part=\"main\",allowed=\"false\"}"), DENIALS);
    program.signal("TERM");
    let lines: Vec<_> = log.lines().map(|line| json(&line.unwrap())).collect();
    let reviews = |allowed: bool| {
        lines.iter().filter(|line| line["message"] == "review" && line["allowed"] == allowed).count() as u64
    };
    let left_out: u64 = lines
        .iter()
        .filter(|line| line["message"] == "denials left out of the log")
        .map(|line| line["count"].as_u64().unwrap())
        .sum();
    assert!((BURST..=BURST + seconds).contains(&reviews(false)), "{} in {seconds} s", reviews(false));
    assert_eq!(reviews(false) + left_out, DENIALS, "the log has the number of omitted lines");
    assert_eq!(reviews(true), 1, "what is allowed is always logged");
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn probes_and_scanners_are_logged_only_at_debug() {
    let (mut program, log) = Program::start(&["--drain=0s", "--log-level=debug"]);
    for path in ["/livez", "/readyz", "/metrics", "/nowhere"] {
        get(program.admin, path);
    }
    for address in [program.address, program.admin] {
        // As a load balancer checks the port.
        drop(TcpStream::connect(address).unwrap());
        let mut scanner = TcpStream::connect(address).unwrap();
        scanner.write_all(b"no TLS, and no HTTP\r\n\r\n").unwrap();
    }
    let mut log = log.lines().map(|line| json(&line.unwrap()));
    let mut missing = [("probe", 4), ("TLS handshake failed", 2), ("connection ended", 1)];
    while missing.iter().any(|(_, count)| *count > 0) {
        let line: Value = log.next().expect("every line is logged");
        assert_eq!(line["level"], "DEBUG", "{line}");
        if let Some((_, count)) = missing.iter_mut().find(|(message, _)| line["message"] == *message) {
            *count -= 1;
        }
    }
    program.signal("TERM");
    log.for_each(drop);
    assert_eq!(program.ended().code(), Some(0));
}
