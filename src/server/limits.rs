//! The most of everything that a caller can make the server hold or wait for.

use std::time::Duration;

use crate::config::Settings;

/// Bytes of memory that the review of a body takes at the most for each byte of it, besides the body.
///
/// The core promises that for the worst of bodies, and the memory budget counts with it. Usual bodies take a tenth.
pub(super) const REVIEW_MEMORY_PER_BYTE: usize = 12;

/// Limits of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one body.
    pub body: usize,
    /// Bytes of all bodies that are being received or reviewed, half of them shared out to the connections. What a connection
    /// reads ahead comes on top, and so do buffers that are kept for the next bodies: as much as is not shared out.
    pub in_flight: usize,
    /// Requests whose body has outgrown its connection's share and waits for room. None holds more than its share and what its
    /// connection reads ahead.
    pub queue: usize,
    /// Connections to the webhook.
    pub connections: usize,
    /// Connections to the probes and metrics.
    pub admin_connections: usize,
    /// From a connection's acceptance to the end of its TLS handshake.
    pub handshake: Duration,
    /// From a request's first byte to the end of its headers.
    pub headers: Duration,
    /// From the first byte of an answer that the caller does not take to the answer's end.
    pub write_timeout: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
    /// How long a body that has outgrown its connection's share may be on its way when others wait for its room.
    pub slow_body_grace: Duration,
}

impl Limits {
    /// Those of an administrator, and else the default ones.
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

    /// Bytes of memory that all reviews of large bodies take at a time, besides the bodies: by default 192 MiB, enough for two
    /// of the largest.
    ///
    /// All bodies, half as much of kept buffers and these are four and a half times `in_flight`. With 70 MB for the process and
    /// all connections that is 360 MB by default, below the memory limit of the Deployment.
    pub(super) fn review_memory(&self) -> usize {
        self.in_flight.saturating_mul(3)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // An update carries two objects of at most 3 MiB each, the API server's own limit, and their metadata.
            body: 8 << 20,
            // A share of 16 KiB for each of the connections, four times what usual reviews have, and four of the largest bodies.
            in_flight: 64 << 20,
            // The API server's own inflight limits are 400 reads and 200 writes; more waiting than that is an attack.
            queue: 1024,
            // 200 writes at once were measured to open 329 connections from one API server.
            connections: 2048,
            // A kubelet and a few scrapers.
            admin_connections: 64,
            // Ten round trips over the slowest link that a hub has.
            handshake: Duration::from_secs(10),
            // The API server sends its headers in one packet.
            headers: Duration::from_secs(10),
            // An answer fits into a socket's buffer: a caller that leaves it there has gone.
            write_timeout: Duration::from_secs(10),
            // Longer than the 90 s for which the API server keeps an idle connection, so that it is never the one that finds
            // it closed.
            idle: Duration::from_mins(2),
            // An API server sends a body at once: 8 MiB take 70 ms on a network of a gigabit, and not all of it may be ours.
            slow_body_grace: Duration::from_millis(500),
        }
    }
}
