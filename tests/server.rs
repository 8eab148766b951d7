//! The real server, over real TLS: its limits, its certificates, its end.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must end")]

#[path = "support/authority.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod authority;
#[path = "server/body_budget.rs"]
mod body_budget;
#[path = "server/break_glass.rs"]
mod break_glass;
#[path = "server/callers.rs"]
mod callers;
#[path = "server/certificates.rs"]
mod certificates;
#[path = "support/client.rs"]
mod client;
#[path = "server/cluster.rs"]
mod cluster;
#[path = "server/config.rs"]
mod config;
#[path = "server/connections.rs"]
mod connections;
#[path = "server/fairness.rs"]
mod fairness;
#[path = "server/flags.rs"]
mod flags;
#[path = "server/log.rs"]
mod log;
#[path = "server/no_ipv6.rs"]
mod no_ipv6;
#[path = "server/process.rs"]
mod process;
#[path = "server/requests.rs"]
mod requests;
#[path = "support/server.rs"]
mod server;
#[path = "server/stopping.rs"]
mod stopping;
#[path = "server/traces.rs"]
mod traces;
#[path = "support/wait.rs"]
mod wait;

use std::sync::Arc;

use clusterprofile_webhook::{
    review::Policy,
    server::{Config, Limits, LiveConfig},
};
use serde_json::Value;

use self::{
    client::Client,
    server::{Server, get},
};

const REVIEW: &[u8] = include_bytes!("data/admission-reviews/generatename-create-validate.json");

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
