//! The lifetime of a connection, and eviction.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use clusterprofile_webhook::server::{Config, Limits};
use testkit::{client::Client, server::Server, wait::wait_until};
use tokio::{net::TcpSocket, runtime};

use super::{answered, connect, head, limited, metric};

#[test]
fn slow_headers_close_a_connection_that_may_be_idle_for_longer() {
    let headers = Duration::from_secs(1);
    let server = Server::start(limited(Limits { headers, ..Limits::default() }));
    let mut idle = connect(&server);
    assert!(answered(&mut idle));
    let mut slow = connect(&server);
    slow.send(b"POST /mutate HTTP/1.1\r\nHost: loc").unwrap();
    let started = Instant::now();
    assert!(slow.is_closed());
    assert!(started.elapsed() >= headers.checked_sub(Duration::from_millis(50)).unwrap(), "not before its time");
    assert!(answered(&mut idle), "idle for longer than headers may take");
}

#[test]
fn an_idle_connection_is_closed_at_its_limit() {
    let server = Server::start(limited(Limits { idle: Duration::from_millis(200), ..Limits::default() }));
    let mut client = connect(&server);
    // A busy machine may be late once.
    wait_until("it is answered", || {
        answered(&mut client) || {
            client = connect(&server);
            false
        }
    });
    assert!(client.is_closed());
}

#[test]
fn a_handshake_that_never_completes_times_out() {
    let server = Server::start(limited(Limits { handshake: Duration::from_millis(200), ..Limits::default() }));
    let mut silent = TcpStream::connect(server.address).unwrap();
    let mut garbage = TcpStream::connect(server.address).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    assert_eq!(silent.read_to_end(&mut rest).unwrap_or(0), 0);
    let _ = garbage.read_to_end(&mut rest);
    for reason in ["slow", "other"] {
        let counted = format!("clusterprofile_webhook_failed_handshakes_total{{reason=\"{reason}\"}} 1");
        wait_until("it is counted", || metric(&server, &counted));
    }
    // A busy machine may be as slow once.
    wait_until("others get in", || {
        Client::connect(server.address, &server.ca).is_ok_and(|mut client| answered(&mut client))
    });
}

#[test]
fn garbage_after_the_handshake_is_rejected() {
    let server = Server::start(Config::default());
    let mut client = connect(&server);
    client.send(b"\0\x01\x02 not http\r\n\r\n").unwrap();
    assert!(client.response().is_ok_and(|answer| answer.status == 400));
    assert!(answered(&mut connect(&server)));
}

#[test]
fn a_full_server_evicts_the_least_recently_active_connection() {
    let server = Server::start(limited(Limits { connections: 3, ..Limits::default() }));
    let mut silent = TcpStream::connect(server.address).unwrap();
    wait_until("the silent connection is counted", || metric(&server, "clusterprofile_webhook_open_connections 1"));
    let mut busy: Vec<_> = (0..2).map(|_| connect(&server)).collect();
    assert!(busy.iter_mut().all(answered));
    let mut new = connect(&server);
    assert!(answered(&mut new), "the API server still gets in");
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0, "the silent one made room");
    assert!(busy.iter_mut().all(answered), "the busy ones are kept");
    assert!(metric(&server, "clusterprofile_webhook_evicted_connections_total 1"));
}

#[test]
fn connections_without_a_request_never_evict_those_with_one() {
    let server = Server::start(limited(Limits { connections: 3, ..Limits::default() }));
    let mut kept: Vec<_> = (0..2).map(|_| connect(&server)).collect();
    assert!(kept.iter_mut().all(answered));
    let silent: Vec<_> = (0..5).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    wait_until("room is made", || metric(&server, "clusterprofile_webhook_evicted_connections_total 4"));
    assert!(kept.iter_mut().all(answered), "they made room for one another");
    drop(silent);
}

#[test]
fn the_address_with_most_connections_without_a_request_is_evicted_first() {
    let server = Server::start(limited(Limits { connections: 4, ..Limits::default() }));
    let mut early = connect(&server);
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let crowd = async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(server.address).await.unwrap()
    };
    let crowd: Vec<_> = (0..8).map(|_| runtime.block_on(crowd())).collect();
    wait_until("room is made", || metric(&server, "clusterprofile_webhook_evicted_connections_total 5"));
    assert!(answered(&mut early), "it was the oldest, but alone");
    drop(crowd);
}

#[test]
fn a_connection_that_ends_with_its_response_is_evicted_before_a_new_one() {
    let server = Server::start(limited(Limits { connections: 2, ..Limits::default() }));
    let mut ending = connect(&server);
    ending.send(head("/validate", 9 << 20).as_bytes()).unwrap();
    let answer = ending.response().unwrap();
    assert_eq!((answer.status, answer.closes()), (413, true));
    let mut beginning = connect(&server);
    let mut new = connect(&server);
    assert!(answered(&mut new) && answered(&mut beginning), "neither was closed for the other");
}
