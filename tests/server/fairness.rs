//! No client blocks others.

use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use clusterprofile_webhook::server::{Config, Limits};
use rustls::{
    ClientConfig,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use testkit::{
    client::{self, Client},
    server::{Server, value_of},
    wait::wait_until,
};

use super::{REVIEW, answered, connect, head, limited, metric};

/// A client at another address than the API server.
struct Other {
    to: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Other {
    fn new(server: &Server) -> Self {
        Self { to: server.address, tls: client::tls(&server.ca, &[&TLS13, &TLS12]) }
    }

    fn connect(&self, host: u8) -> Client {
        Client::over(self.open(host, None), Arc::clone(&self.tls)).unwrap()
    }

    /// A connection whose kernel buffers so many unread bytes.
    fn open(&self, host: u8, receives: Option<usize>) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(bytes) = receives {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
        socket.connect(&self.to.into()).unwrap();
        socket.into()
    }
}

/// A review of a status with many invalid conditions.
fn wrong(conditions: usize) -> Vec<u8> {
    let mut review: Value = serde_json::from_slice(REVIEW).unwrap();
    let old = review["request"]["object"].clone();
    review["request"]["operation"] = json!("UPDATE");
    review["request"]["subResource"] = json!("status");
    review["request"]["oldObject"] = old;
    review["request"]["object"]["status"] = json!({"conditions": vec![json!({}); conditions]});
    review.to_string().into_bytes()
}

fn send(client: &mut Client, path: &str, body: &[u8]) {
    client.send(head(path, body.len()).as_bytes()).and_then(|()| client.send(body)).unwrap();
}

fn reviews(server: &Server) -> u64 {
    let count = |part: &str, allowed: &str| {
        let series = format!("reviews_total{{phase=\"validate\",part=\"{part}\",allowed=\"{allowed}\"}}");
        value_of(server.admin, &series)
    };
    ["main", "status"].iter().map(|part| count(part, "true") + count(part, "false")).sum()
}

#[test]
fn a_404_response_does_not_protect_from_eviction() {
    let server = Server::start(limited(Limits { connections: 3, ..Limits::default() }));
    let mut kept = connect(&server);
    assert!(answered(&mut kept));
    let other = Other::new(&server);
    let mut crowd: Vec<_> = (0..5)
        .map(|_| {
            let mut client = other.connect(2);
            assert_eq!(client.post("/nothing", REVIEW).unwrap().status, 404);
            client
        })
        .collect();
    let mut new = connect(&server);
    assert!(answered(&mut new) && answered(&mut kept), "the API server's are kept");
    assert!(crowd.iter_mut().take(4).all(Client::is_closed));
    assert!(metric(&server, "clusterprofile_webhook_evicted_connections_total 4"));
}

#[test]
fn long_reviews_delay_neither_small_ones_nor_those_of_other_clients() {
    const COUNT: usize = 24;
    let server = Server::start(Config::default());
    let other = Other::new(&server);
    let long = wrong(60_000);
    let mut crowd: Vec<_> = (0..COUNT).map(|_| other.connect(2)).collect();
    for client in &mut crowd {
        send(client, "/validate?timeout=30s", &long);
    }
    assert!(answered(&mut connect(&server)));
    assert_eq!(connect(&server).post("/validate?timeout=30s", &wrong(6000)).unwrap().status, 200);
    let count = reviews(&server);
    assert!(count < 2 + COUNT as u64 / 2, "{count} were done first");
    drop(crowd);
}

#[test]
fn unread_responses_take_limited_memory() {
    /// Of 50 KB each, far more than the budget.
    const MOST: usize = 400;
    let server = Server::start(Config::default());
    let other = Other::new(&server);
    // There are no more than 500 fixes.
    let large = wrong(240);
    let mut crowd = Vec::new();
    let shed = || value_of(server.admin, "shed_requests_total{reason=\"unsent_answers\"}");
    while shed() == 0 {
        assert!(crowd.len() < MOST, "all are held");
        let mut client = Client::over(other.open(2, Some(2304)), Arc::clone(&other.tls)).unwrap();
        send(&mut client, "/mutate?timeout=30s", &large);
        crowd.push(client);
    }
    let answer = connect(&server).post("/mutate", &large).unwrap();
    assert_eq!(answer.status, 200, "there is room for another's");
    assert!(answer.body.len() > 32 << 10, "{}", answer.body.len());
    drop(crowd);
    wait_until("what is not taken is let go", || {
        other.connect(2).post("/mutate?timeout=1s", &large).is_ok_and(|answer| answer.status == 200)
    });
}
