//! Responses and the protocol.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
};

use clusterprofile_webhook::server::Config;
use rustls::{
    ProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};
use testkit::{
    client::{self, Client},
    server::Server,
};

use super::{REVIEW, answered, connect, head, metric};

#[test]
fn both_paths_review_and_count() {
    let server = Server::start(Config::default());
    let mut client = connect(&server);
    let denied: Value = serde_json::from_slice(&client.post("/validate?timeout=10s", REVIEW).unwrap().body).unwrap();
    assert_eq!(denied["response"]["uid"], "d32233cb-5ef3-439a-a15c-e80fb471c8d0");
    assert_eq!(denied["response"]["status"]["details"]["causes"][0]["reason"], "FieldValueRequired");
    let patched: Value = serde_json::from_slice(&client.post("/mutate", REVIEW).unwrap().body).unwrap();
    assert_eq!(patched["response"]["patchType"], "JSONPatch");
    assert!(metric(
        &server,
        "clusterprofile_webhook_reviews_total{phase=\"validate\",part=\"main\",allowed=\"false\"} 1"
    ));
    assert!(metric(&server, "clusterprofile_webhook_reviews_total{phase=\"mutate\",part=\"main\",allowed=\"true\"} 1"));
    let rule = "clusterprofile_webhook_findings_total{phase=\"validate\",rule=\"cluster-manager-label\"} 1";
    assert!(metric(&server, rule));
    assert!(metric(&server, "clusterprofile_webhook_open_connections 1"));
}

#[test]
fn a_refused_write_does_not_count_as_passed_for_health() {
    let server = Server::start(Config::default());
    let mut client = connect(&server);
    let counted = |count: u64| {
        metric(&server, &format!("clusterprofile_webhook_passed_for_health_total{{rule=\"property-name\"}} {count}"))
    };
    let mut passes = |provider: &str| {
        let response = client.post("/validate", &lost(provider)).unwrap();
        let review: Value = serde_json::from_slice(&response.body).unwrap();
        (review["response"]["allowed"].clone(), review["response"]["auditAnnotations"]["passed-for-health"].clone())
    };
    assert_eq!(passes("https://u:p@spoke-1"), (json!(false), Value::Null));
    assert!(counted(0));
    assert_eq!(passes("https://spoke-1"), (json!(true), json!("property-name")));
    assert!(counted(1));
}

/// A write that reports a lost cluster, with an invalid property name and the given URL of an API server.
fn lost(server: &str) -> Vec<u8> {
    let profile = |status: &str, name: &str| {
        let condition = json!({"type": "ControlPlaneHealthy", "status": status, "reason": "A", "message": "",
            "lastTransitionTime": "2024-01-01T00:00:00Z"});
        let access = json!({"name": "k", "cluster": {"server": server}});
        json!({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile",
            "metadata": {"name": "a", "namespace": "b", "labels": {"x-k8s.io/cluster-manager": "m"}},
            "spec": {"clusterManager": {"name": "m"}},
            "status": {"conditions": [condition], "properties": [{"name": name, "value": "x"}],
                "accessProviders": if name == "valid" { json!([]) } else { json!([access]) }},
        })
    };
    let mut review: Value = serde_json::from_slice(REVIEW).unwrap();
    let request = &mut review["request"];
    request["operation"] = json!("UPDATE");
    request["subResource"] = json!("status");
    request["oldObject"] = profile("True", "valid");
    request["object"] = profile("False", "trailing-");
    review.to_string().into_bytes()
}

#[test]
fn an_error_response_has_one_clear_line() {
    let server = Server::start(Config::default());
    for (path, body, status) in [("/validate", &b"x"[..], 400), ("/nothing", REVIEW, 404), ("/validate", b"{}", 400)] {
        let answer = connect(&server).post(path, body).unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.text().lines().count(), 1, "{}", answer.text());
    }
    let mut client = connect(&server);
    client.send(b"GET /mutate HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(client.response().unwrap().status, 405);
    assert!(answered(&mut client), "the connection is still good");
}

#[test]
fn tls_1_2_and_1_3_work_and_only_http_1_1_is_offered() {
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
    let answer = client.response().unwrap();
    assert_eq!((answer.status, answer.closes()), (413, true), "refused by what it announces");

    let mut client = connect(&server);
    client.send(b"POST /mutate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let _ = client.send(format!("{:x}\r\n", larger.len()).as_bytes()).and_then(|()| client.send(&larger));
    assert_eq!(client.response().unwrap().status, 413, "refused by what comes");
}

#[test]
fn metrics_are_called_what_the_scraper_asks_for() {
    let server = Server::start(Config::default());
    let asked = |accept: &str| {
        let mut stream = TcpStream::connect(server.admin).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: {accept}\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("# EOF\n"));
        text.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap().to_owned()
    };
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
    assert_eq!(asked(prometheus), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(asked("*/*"), "text/plain; version=0.0.4; charset=utf-8");
}
