//! Limits on the memory, connections and time that a client can use.

use std::time::Duration;

use crate::config::Settings;

/// Maximum memory of a review, in bytes for each byte of the body, besides the body itself.
///
/// The core guarantees it for any body, and the memory budget relies on it. Usual bodies take a tenth.
pub(super) const REVIEW_MEMORY_PER_BYTE: usize = 12;

/// Limits of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum bytes of one request body.
    pub body: usize,
    /// The body budget: maximum bytes of all bodies being received or reviewed. Half of it is split evenly between connections.
    ///
    /// Read-ahead of connections comes on top, and so do buffers kept for reuse, which take at most the other half.
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

impl Limits {
    /// The limits from the settings, with defaults for the rest.
    #[must_use]
    pub fn chosen(settings: &Settings) -> Self {
        let default = Self::default();
        let count = |count: Option<u32>| count.and_then(|count| count.try_into().ok());
        Self {
            body: settings.max_body.unwrap_or(default.body),
            in_flight: settings.max_in_flight.unwrap_or(default.in_flight),
            queue: count(settings.max_queue).unwrap_or(default.queue),
            connections: count(settings.max_connections).unwrap_or(default.connections),
            ..default
        }
    }

    /// Maximum bytes of memory for all concurrent reviews of large bodies, besides the bodies. By default 192 MiB, enough for
    /// two of the largest.
    ///
    /// The bodies, half as much of kept buffers, and this are four and a half times `in_flight`. With 70 MB for the process and
    /// all connections that is 360 MB by default, below the memory limit of the Deployment.
    pub(super) fn review_memory(&self) -> usize {
        self.in_flight.saturating_mul(3)
    }
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
