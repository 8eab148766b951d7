//! The real server, over real TLS: its limits, its certificates, its end.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on must end")]

#[path = "support/client.rs"]
mod client;
#[path = "support/server.rs"]
mod server;
#[path = "support/wait.rs"]
mod wait;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clusterprofile_webhook::{
    server::{Config, Limits},
    tls::{Certificates, Files},
};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    ProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};

use self::{
    client::Client,
    server::{Server, get},
    wait::wait_until,
};

const REVIEW: &[u8] = include_bytes!("data/admission-reviews/generatename-create-validate.json");

fn limited(limits: Limits) -> Config {
    Config { limits, ..Config::default() }
}

fn connect(server: &Server) -> Client {
    Client::connect(server.address, &server.ca).expect("the server takes connections")
}

/// A request head that announces `length` bytes.
fn head(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

fn metric(server: &Server, line: &str) -> bool {
    get(server.admin, "/metrics").lines().any(|found| found == line)
}

fn answered(client: &mut Client) -> bool {
    client.post("/validate", REVIEW).is_ok_and(|answer| {
        answer.status == 200 && serde_json::from_slice::<Value>(&answer.body).unwrap()["response"]["allowed"] == false
    })
}

#[test]
fn reviews_are_answered_on_both_paths_and_counted() {
    let server = Server::start(Config::default());
    let mut client = connect(&server);
    let denied: Value = serde_json::from_slice(&client.post("/validate?timeout=10s", REVIEW).unwrap().body).unwrap();
    assert_eq!(denied["response"]["uid"], "d32233cb-5ef3-439a-a15c-e80fb471c8d0");
    assert_eq!(denied["response"]["status"]["details"]["causes"][0]["reason"], "FieldValueRequired");
    let patched: Value = serde_json::from_slice(&client.post("/mutate", REVIEW).unwrap().body).unwrap();
    assert_eq!(patched["response"]["patchType"], "JSONPatch");
    assert!(metric(&server, "clusterprofile_webhook_reviews_total{phase=\"validate\",allowed=\"false\"} 1"));
    assert!(metric(&server, "clusterprofile_webhook_reviews_total{phase=\"mutate\",allowed=\"true\"} 1"));
    let rule = "clusterprofile_webhook_findings_total{phase=\"validate\",rule=\"cluster-manager-label\"} 1";
    assert!(metric(&server, rule));
    assert!(metric(&server, "clusterprofile_webhook_open_connections 1"));
}

#[test]
fn what_is_no_review_gets_one_clear_line() {
    let server = Server::start(Config::default());
    for (path, body, status) in [("/validate", &b"x"[..], 400), ("/nothing", REVIEW, 404), ("/validate", b"{}", 400)] {
        let answer = connect(&server).post(path, body).unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.text().lines().count(), 1, "{}", answer.text());
    }
    let mut client = connect(&server);
    client.send(b"GET /mutate HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(client.answer().unwrap().status, 405);
    assert!(answered(&mut client), "the connection is still good");
}

#[test]
fn both_tls_versions_are_spoken_and_http_1_1_alone_is_offered() {
    let server = Server::start(Config::default());
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut config = Arc::unwrap_or_clone(client::tls(&server.ca, &[version]));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut client = Client::connect_with(server.address, Arc::new(config)).unwrap();
        let connection = &client.0.get_ref().conn;
        assert_eq!(connection.protocol_version(), Some(expected));
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(answered(&mut client));
    }
}

#[test]
fn a_body_of_8_mib_passes_and_one_byte_more_does_not() {
    let server = Server::start(Config::default());
    let mut review: Value = serde_json::from_slice(REVIEW).unwrap();
    review["padding"] = json!("");
    let bare = serde_json::to_vec(&review).unwrap().len();
    review["padding"] = json!("x".repeat((8 << 20) - bare));
    let largest = serde_json::to_vec(&review).unwrap();
    assert_eq!(largest.len(), 8 << 20);
    assert_eq!(connect(&server).post("/mutate", &largest).unwrap().status, 200);

    review["padding"] = json!("x".repeat((8 << 20) - bare + 1));
    let larger = serde_json::to_vec(&review).unwrap();
    let mut client = connect(&server);
    client.send(head("/mutate", larger.len()).as_bytes()).unwrap();
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.closes()), (413, true), "refused by what it announces");

    let mut client = connect(&server);
    client.send(b"POST /mutate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let _ = client.send(format!("{:x}\r\n", larger.len()).as_bytes()).and_then(|()| client.send(&larger));
    assert_eq!(client.answer().unwrap().status, 413, "refused by what comes");
}

#[test]
fn slow_headers_end_the_connection_and_idle_ones_do_not() {
    let headers = Duration::from_millis(300);
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
fn an_idle_connection_ends_at_its_limit() {
    let server = Server::start(limited(Limits { idle: Duration::from_millis(200), ..Limits::default() }));
    let mut client = connect(&server);
    assert!(answered(&mut client));
    assert!(client.is_closed());
}

#[test]
fn a_handshake_that_never_ends_is_ended() {
    let server = Server::start(limited(Limits { handshake: Duration::from_millis(200), ..Limits::default() }));
    let mut silent = TcpStream::connect(server.address).unwrap();
    let mut garbage = TcpStream::connect(server.address).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    assert_eq!(silent.read_to_end(&mut rest).unwrap_or(0), 0);
    let _ = garbage.read_to_end(&mut rest);
    assert!(answered(&mut connect(&server)));
}

#[test]
fn garbage_after_the_handshake_is_refused() {
    let server = Server::start(Config::default());
    let mut client = connect(&server);
    client.send(b"\0\x01\x02 not http\r\n\r\n").unwrap();
    assert!(client.answer().is_ok_and(|answer| answer.status == 400));
    assert!(answered(&mut connect(&server)));
}

#[test]
fn a_slow_body_is_answered_by_its_deadline_and_may_be_tried_again() {
    let server = Server::start(Config::default());
    let mut client = connect(&server);
    let started = Instant::now();
    client.send(head("/validate?timeout=1s", 1000).as_bytes()).unwrap();
    client.send(b"{").unwrap();
    let answer = client.answer().unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "before the API server gives up");
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains(&"retry-after: 1".to_owned()));
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(503)));
    assert!(metric(&server, "clusterprofile_webhook_shed_requests_total{reason=\"deadline\"} 1"));
}

#[test]
fn announced_bytes_hold_nothing_and_a_full_queue_sheds_at_once() {
    let limits = Limits { in_flight: 1000, queue: 0, ..Limits::default() };
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
    drop(holding);
    wait_until("the room is given back", || connect(&server).post("/validate", small).unwrap().status == 400);
    drop(announcing);
}

#[test]
fn bodies_that_fill_the_room_together_are_all_answered() {
    let server = Server::start(limited(Limits { in_flight: 4000, ..Limits::default() }));
    let mut body = REVIEW.to_vec();
    body.resize(3000, b' ');
    let mut clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = connect(&server);
            client.send(head("/validate?timeout=30s", body.len()).as_bytes()).unwrap();
            client.send(&body[..1000]).unwrap();
            client
        })
        .collect();
    for client in &mut clients {
        client.send(&body[1000..]).unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.answer().unwrap().status, 200);
    }
}

#[test]
fn a_full_server_closes_the_connection_longest_without_a_request() {
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
fn probes_tell_of_the_certificate_and_the_drain() {
    let mut server = Server::start(Config { drain: Duration::from_secs(3), ..Config::default() });
    assert!(get(server.admin, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 200"));
    server.stop();
    wait_until("readiness fails", || get(server.admin, "/readyz").starts_with("HTTP/1.1 503"));
    assert!(get(server.admin, "/livez").starts_with("HTTP/1.1 200"), "a drain is no reason to be killed");
    let answer = connect(&server).post("/validate", REVIEW).unwrap();
    assert_eq!((answer.status, answer.closes()), (200, true), "still served, on a connection that ends");
}

#[test]
fn no_request_fails_while_the_server_stops_under_load() {
    let mut server = Server::start(Config { drain: Duration::from_secs(2), ..Config::default() });
    let (address, ca) = (server.address, server.ca.clone());
    let (told, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (ca, told, count) = (ca.clone(), Arc::clone(&told), Arc::clone(&count));
            thread::spawn(move || {
                let mut client = Client::connect(address, &ca).expect("a connection");
                let mut after = 0;
                // As an API server does: a connection that says that it ends is not used again.
                while after < 50 {
                    let answer = client.post("/validate", REVIEW).expect("no request fails");
                    assert_eq!(answer.status, 200);
                    count.fetch_add(1, Ordering::Relaxed);
                    after += usize::from(told.load(Ordering::Relaxed));
                    if answer.closes() {
                        client = Client::connect(address, &ca).expect("new connections are served");
                    }
                }
            })
        })
        .collect();
    wait_until("the load is on", || count.load(Ordering::Relaxed) > 100);
    server.stop();
    told.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().expect("no request failed");
    }
    drop(server);
    assert!(TcpStream::connect(address).is_err(), "the port is given back");
}

/// An authority, and pairs that it has signed, laid out as kubelet does.
struct Volume {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    ca: Vec<u8>,
    number: usize,
}

impl Volume {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem().into_bytes();
        let mut volume =
            Self { directory: tempfile::tempdir().unwrap(), issuer: Issuer::new(params, key), ca, number: 0 };
        volume.swap(true);
        for file in ["tls.crt", "tls.key"] {
            std::os::unix::fs::symlink(format!("..data/{file}"), volume.path().join(file)).unwrap();
        }
        volume
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn files(&self) -> Files {
        Files { certificate: self.path().join("tls.crt"), key: self.path().join("tls.key") }
    }

    /// A new directory, then the link renamed over; returns the leaf, DER. A torn one has the key of another.
    fn swap(&mut self, whole: bool) -> Vec<u8> {
        self.number += 1;
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = if whole { key } else { KeyPair::generate().unwrap() };
        let name = format!("..{}", self.number);
        std::fs::create_dir(self.path().join(&name)).unwrap();
        std::fs::write(self.path().join(&name).join("tls.crt"), leaf.pem()).unwrap();
        std::fs::write(self.path().join(&name).join("tls.key"), key.serialize_pem()).unwrap();
        std::os::unix::fs::symlink(&name, self.path().join("..data_tmp")).unwrap();
        std::fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).unwrap();
        leaf.der().to_vec()
    }
}

fn served_leaf(server: &Server) -> Vec<u8> {
    let client = connect(server);
    client.0.get_ref().conn.peer_certificates().expect("a certificate is served")[0].to_vec()
}

#[test]
fn every_swap_of_the_certificate_is_picked_up_under_load_and_a_torn_one_never() {
    let mut volume = Volume::new();
    let certificates = Certificates::new(volume.files().load().expect("the first pair is good"));
    let server = Server::start_with(Config::default(), certificates, Some(volume.files()), volume.ca.clone());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut kept = connect(&server);
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                assert!(answered(&mut kept), "an open connection is not disturbed");
                assert!(answered(&mut connect(&server)), "new ones always see a whole pair");
                count += 1;
            }
            count
        });
        let mut last = Vec::new();
        for _ in 0..3 {
            last = volume.swap(true);
            wait_until("the new pair is served", || served_leaf(&server) == last);
        }
        let failures = || reloads(&server, "failure");
        let before = failures();
        volume.swap(false);
        wait_until("the torn pair is seen", || failures() > before);
        assert_eq!(served_leaf(&server), last, "the last good pair stays");
        assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 200"));
        let next = volume.swap(true);
        wait_until("the next good pair is served", || served_leaf(&server) == next);
        stop.store(true, Ordering::Relaxed);
        assert!(load.join().expect("no request failed") > 0);
    });
    assert_eq!(reloads(&server, "success"), 4);
}

fn reloads(server: &Server, result: &str) -> u64 {
    let name = format!("clusterprofile_webhook_certificate_reloads_total{{result=\"{result}\"}} ");
    let metrics = get(server.admin, "/metrics");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

#[test]
fn pairs_that_cannot_be_served_are_refused_with_file_and_cause() {
    let volume = Volume::new();
    let refused = |certificate: &str, key: &str| {
        let files = Files { certificate: volume.path().join(certificate), key: volume.path().join(key) };
        files.load().expect_err("it is no pair").to_string()
    };
    std::fs::write(volume.path().join("empty"), "").unwrap();
    std::fs::write(volume.path().join("other.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(refused("missing", "tls.key").contains("missing: No such file"));
    assert!(refused("empty", "tls.key").contains("empty: no PEM certificates"));
    assert!(refused("tls.crt", "empty").contains("empty: no PEM private key"));
    assert!(refused("tls.crt", "other.key").contains("are no pair"));
}
