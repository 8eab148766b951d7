//! Spans: what a collector of OpenTelemetry is told of each review, if one is named.
//!
//! A span is a child of the API server's, where that is traced, so that one trace tells what a write waited for. Nothing of it
//! is on a review's way but to note instants: spans wait in a queue, and what the collector does not take in time is dropped
//! and counted. They are sent as OTLP over HTTP, in JSON, which every collector takes beside Protobuf: with what is linked
//! anyway, it is no more than the shape of one document.

use std::{fmt, sync::Arc};

use thiserror::Error;
use tokio::sync::mpsc;

use self::span::Record;
pub(crate) use self::span::Span;
pub use self::{endpoint::Endpoint, exporter::Exporter};
use crate::metrics::Metrics;

mod context;
mod endpoint;
mod exporter;
mod otlp;
mod span;

/// Why spans cannot be sent, now or ever.
#[derive(Debug, Error)]
pub enum TracesError {
    /// The endpoint wants TLS.
    #[error("must begin with http://: no TLS is spoken here, but by a collector on the node or in the cluster")]
    Https,
    /// The endpoint cannot be read, or says more than where it is.
    #[error("must be http://HOST:PORT of a collector, like http://127.0.0.1:4318")]
    Endpoint,
    /// The collector's name has no address, or nobody listens there.
    #[error("{endpoint}: cannot be reached")]
    Connect {
        /// Where it should be.
        endpoint: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The connection ended early, or what came was no HTTP.
    #[error("{endpoint}: did not answer")]
    Http {
        /// Where it is.
        endpoint: String,
        /// The cause.
        source: hyper::Error,
    },
    /// The collector took too long.
    #[error("{endpoint}: did not answer in time")]
    Late {
        /// Where it is.
        endpoint: String,
    },
    /// The collector did not take the spans.
    #[error("{endpoint}: answered {status}")]
    Refused {
        /// Where it is.
        endpoint: String,
        /// Its answer.
        status: u16,
    },
}

/// Where spans go when they end: a queue to the [`Exporter`].
#[derive(Clone)]
pub struct Spans {
    queue: mpsc::Sender<Record>,
    metrics: Arc<Metrics>,
}

/// Spans that wait to be sent: five seconds of 200 writes a second, each of which is reviewed twice. None has more
/// than two kilobytes.
const QUEUE: usize = 2048;

/// A queue, and who sends what is in it to the collector.
#[must_use]
pub fn start(endpoint: Endpoint, metrics: Arc<Metrics>) -> (Spans, Exporter) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let exporter = Exporter::new(endpoint, receiver, Arc::clone(&metrics));
    (Spans { queue: sender, metrics }, exporter)
}

impl Spans {
    /// Waits for nobody: what the queue does not take is dropped.
    fn send(&self, record: Record) {
        if self.queue.try_send(record).is_err() {
            self.metrics.count_dropped_spans(1);
        }
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spans")
    }
}
