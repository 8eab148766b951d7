//! Spans of reviews for an OpenTelemetry collector.
//!
//! A span is a child of the API server's span, if that is traced, so one trace shows what a write waited for. A review only
//! records times and never waits: spans go into a queue, and those that the collector does not accept in time are dropped and
//! counted.
//!
//! The protocol is OTLP over HTTP in JSON, which every collector accepts in addition to Protobuf. With the HTTP client and the JSON
//! writer that are linked anyway, it takes only the types of one document. `opentelemetry-otlp` and its SDK take 1.5 MB: a
//! program that has only tokio and hyper grows from 0.8 to 2.3 MB by them.

use std::fmt;

use prometheus_client::metrics::counter::Counter;
use thiserror::Error;
use tokio::sync::mpsc;

use self::span::Record;
pub(crate) use self::span::Span;
pub use self::{endpoint::Endpoint, exporter::Exporter};

mod context;
mod endpoint;
mod exporter;
mod otlp;
mod span;

/// Why an endpoint is invalid, or spans could not be sent.
#[derive(Debug, Error)]
pub enum TracesError {
    /// The endpoint requires TLS.
    #[error("must start with http:// (TLS is not supported; use a collector on the node or in the cluster)")]
    Https,
    /// The endpoint is not a URL, lacks the port, or has parts that are not supported.
    #[error("must be http://HOST:PORT of a collector, such as http://127.0.0.1:4318")]
    Endpoint,
    /// The host name cannot be resolved, or the connection fails.
    #[error("{endpoint}: cannot connect")]
    Connect {
        /// The URL of the collector.
        endpoint: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The connection ended early, or the response is not HTTP.
    #[error("{endpoint}: no valid response")]
    Http {
        /// The URL of the collector.
        endpoint: String,
        /// Why it failed.
        source: hyper::Error,
    },
    /// The collector took too long.
    #[error("{endpoint}: no response in time")]
    Late {
        /// The URL of the collector.
        endpoint: String,
    },
    /// The collector did not accept the spans.
    #[error("{endpoint}: response with status {status}")]
    Refused {
        /// The URL of the collector.
        endpoint: String,
        /// The HTTP status.
        status: u16,
    },
}

/// The queue of finished spans to the [`Exporter`].
#[derive(Clone)]
pub struct Spans {
    queue: mpsc::Sender<Record>,
    dropped: Counter,
}

/// Maximum queued spans: five seconds of 200 writes a second, each reviewed twice. A span has at most two kilobytes.
const QUEUE: usize = 2048;

/// Makes a queue, and the exporter that sends its spans to the collector. `dropped` counts the spans that are dropped.
#[must_use]
pub fn start(endpoint: Endpoint, dropped: Counter) -> (Spans, Exporter) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let exporter = Exporter::new(endpoint, receiver, dropped.clone());
    (Spans { queue: sender, dropped }, exporter)
}

impl Spans {
    /// Queues a span. If the queue is full, the span is dropped.
    fn send(&self, record: Record) {
        if self.queue.try_send(record).is_err() {
            self.dropped.inc();
        }
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spans")
    }
}
