//! The drain.

use std::{
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use clusterprofile_webhook::server::Config;
use testkit::{
    client::Client,
    server::{Server, get},
    wait::wait_until,
};

use super::{REVIEW, connect, process::Program};

/// Longer than any test. A server that is dropped ends its drain.
const PATIENT: Duration = Duration::from_mins(10);

#[test]
fn readiness_fails_during_the_drain_and_liveness_does_not() {
    let server = Server::start(Config { drain: PATIENT, ..Config::default() });
    assert!(get(server.admin, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 200"));
    server.stop();
    wait_until("readiness fails", || get(server.admin, "/readyz").starts_with("HTTP/1.1 503"));
    assert!(get(server.admin, "/livez").starts_with("HTTP/1.1 200"), "a drain is no reason to be killed");
    let answer = connect(&server).post("/validate", REVIEW).unwrap();
    assert_eq!((answer.status, answer.closes()), (200, true), "still served, on a connection that ends");
}

#[test]
fn no_request_fails_during_the_drain_under_load() {
    let server = Server::start(Config { drain: PATIENT, ..Config::default() });
    let (address, ca) = (server.address, server.ca.clone());
    let (is_stopped, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (ca, is_stopped, count) = (ca.clone(), Arc::clone(&is_stopped), Arc::clone(&count));
            thread::spawn(move || {
                let mut client = Client::connect(address, &ca).expect("a connection");
                let mut after = 0;
                // As an API server does: it does not reuse a connection after a response with `Connection: close`.
                while after < 50 {
                    let answer = client.post("/validate", REVIEW).expect("no request fails");
                    assert_eq!(answer.status, 200);
                    count.fetch_add(1, Ordering::Relaxed);
                    after += usize::from(is_stopped.load(Ordering::Relaxed));
                    if answer.closes() {
                        client = Client::connect(address, &ca).expect("new connections are served");
                    }
                }
            })
        })
        .collect();
    wait_until("the load is on", || count.load(Ordering::Relaxed) > 100);
    server.stop();
    is_stopped.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().expect("no request failed");
    }
    drop(server);
    assert!(TcpStream::connect(address).is_err(), "the port is given back");
}

#[test]
fn a_second_signal_ends_the_drain() {
    let mut program = Program::start(&["--drain=10m"]).0;
    program.signal("TERM");
    wait_until("it drains", || get(program.admin, "/readyz").starts_with("HTTP/1.1 503"));
    program.signal("INT");
    assert_eq!(program.ended().code(), Some(0));
}
