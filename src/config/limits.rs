//! Limits on the memory, connections and time that a client can use.

use std::time::Duration;

use serde_json::Value as Json;

use crate::{
    config::{node::Value, schema},
    units,
};

/// Limits of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum bytes of one request body.
    pub body: usize,
    /// The body budget: maximum bytes of all bodies being received or reviewed. Half of it is split evenly between connections.
    ///
    /// Read-ahead of connections comes on top.
    pub in_flight: usize,
    /// Maximum requests waiting for body memory, because their body is larger than their connection's share.
    pub queue: usize,
    /// Maximum open connections to the webhook.
    pub connections: usize,
    /// Maximum open connections to probes and metrics.
    pub admin_connections: usize,
    /// Timeout of the TLS handshake, from when the connection is accepted.
    pub handshake: Duration,
    /// Timeout of the headers, from the first byte of the request.
    pub headers: Duration,
    /// Timeout of writing a response, from when the client first stops reading it.
    pub write_timeout: Duration,
    /// How long a connection may be idle between a response and the next request.
    pub idle: Duration,
    /// How long a body larger than its connection's share may take to arrive while other requests wait for memory.
    pub slow_body_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // An update carries two objects of at most 3 MiB each, the API server's limit, and their metadata.
            body: 8 << 20,
            // A share of 16 KiB per connection, four times a usual review, and four of the largest bodies.
            in_flight: 64 << 20,
            // An API server has at most 400 reads and 200 writes in flight. More waiting requests than that are an attack.
            queue: 1024,
            // One API server with 200 concurrent writes opened 329 connections in a measurement.
            connections: 2048,
            // A kubelet and a few scrapers.
            admin_connections: 64,
            // Ten round trips over a very slow link.
            handshake: Duration::from_secs(10),
            // The API server sends its headers in one packet.
            headers: Duration::from_secs(10),
            // A response fits into the socket's buffer, so a client that does not read it is gone.
            write_timeout: Duration::from_secs(10),
            // Longer than the 90 s for which the API server keeps an idle connection, so that the API server closes it first.
            idle: Duration::from_mins(2),
            // An API server sends a body at once: 8 MiB take 70 ms over a gigabit network that nothing else uses.
            slow_body_grace: Duration::from_millis(500),
        }
    }
}

/// A limit that can be configured: a field of [`Limits`].
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What it limits.
    pub amount: Amount,
    pub(super) field: fn(&mut Limits) -> &mut usize,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// Bytes, at least 1, with or without a unit.
    Size,
    /// Requests or connections.
    Count {
        /// The smallest valid value.
        least: u32,
    },
}

impl Limit {
    /// The default, as the file has it.
    pub(super) fn default(&self) -> String {
        let default = *(self.field)(&mut Limits::default());
        match self.amount {
            Amount::Size => units::display_size(default),
            Amount::Count { .. } => default.to_string(),
        }
    }
}

impl Amount {
    /// Parses a value of the file. None if it has not the [form](Self::form).
    pub(super) fn parse(self, value: &Value) -> Option<usize> {
        match (self, value) {
            (Self::Size, Value::Text(text)) => units::size(text).ok(),
            (Self::Size, Value::Number(Some(bytes @ 1..))) => usize::try_from(*bytes).ok(),
            (Self::Count { least }, Value::Number(Some(count))) => {
                let count = u32::try_from(*count).ok().filter(|count| *count >= least)?;
                count.try_into().ok()
            }
            _ => None,
        }
    }

    /// What a value must be.
    pub(super) fn form(self) -> String {
        match self {
            Self::Size => units::SIZE_FORM.to_owned(),
            Self::Count { least } => format!("a number from {least} to {}", u32::MAX),
        }
    }

    pub(super) fn schema(self) -> Json {
        match self {
            Self::Size => schema::size(),
            Self::Count { least } => schema::count(least),
        }
    }
}
