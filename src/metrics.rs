//! Metrics for Prometheus. The values of every label come from a fixed set.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::counter::Counter,
    registry::Registry,
};

pub use self::{
    certificates::{Certificates, Failure, Repair, Step},
    files::{File, Files},
    reviews::Reviews,
    server::{HandshakeFailure, Load, Server, Shed},
};

mod certificates;
mod files;
mod reviews;
mod server;

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    panics: Counter,
    dropped_lines: Counter,
    dropped_spans: Counter,
    /// Metrics of reviews.
    pub reviews: Reviews,
    /// Metrics of files that are reloaded on change.
    pub files: Files,
    /// Metrics of connections, load and the serving certificate.
    pub server: Server,
    /// Metrics of self-managed certificates.
    pub certificates: Certificates,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

impl Default for Metrics {
    /// Registers all metrics, with every series at zero.
    fn default() -> Self {
        let mut registry = Registry::with_prefix("clusterprofile_webhook");
        let reviews = Reviews::register(&mut registry);
        let panics = Counter::default();
        registry.register(
            "panics",
            "Number of reviews and connections that ended in an internal error",
            panics.clone(),
        );
        let files = Files::register(&mut registry);
        let dropped_lines = Counter::default();
        registry.register(
            "dropped_log_lines",
            "Number of log lines dropped because standard error was blocked or closed",
            dropped_lines.clone(),
        );
        let dropped_spans = Counter::default();
        registry.register(
            "dropped_spans",
            "Number of spans dropped because the collector did not accept them in time",
            dropped_spans.clone(),
        );
        let server = Server::register(&mut registry);
        let certificates = Certificates::register(&mut registry);
        Self { registry, panics, dropped_lines, dropped_spans, reviews, files, server, certificates }
    }
}

impl Metrics {
    /// Counts a review or a connection that ended in a panic.
    pub fn count_panic(&self) {
        self.panics.inc();
    }

    /// Counts a log line that was dropped.
    pub fn count_dropped_line(&self) {
        self.dropped_lines.inc();
    }

    /// Counts spans that were dropped.
    pub fn count_dropped_spans(&self, count: usize) {
        self.dropped_spans.inc_by(count as u64);
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text
    }
}
