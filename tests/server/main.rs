//! The real server over real TLS: limits, timeouts, reloads, and the drain.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must end")]

mod bad_input;
mod body_budget;
mod break_glass;
mod callers;
mod certificates;
mod cluster;
mod config;
mod connections;
mod fairness;
mod flags;
mod log;
mod no_ipv6;
mod process;
mod requests;
mod stopping;
mod traces;

use std::sync::Arc;

use clusterprofile_webhook::{
    review::Policy,
    server::{Config, Limits, LiveConfig},
};
use serde_json::Value;
use testkit::{
    client::Client,
    server::{Server, get},
};

const REVIEW: &[u8] = include_bytes!("../data/admission-reviews/generatename-create-validate.json");

fn limited(limits: Limits) -> Config {
    Config { live: Arc::new(LiveConfig::new(Policy::default(), limits)), ..Config::default() }
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
