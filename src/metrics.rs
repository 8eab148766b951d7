//! Metrics for Prometheus, in one registry. Each module has its own, next to its code. The values of every label come from a
//! fixed set.

use std::sync::Arc;

use prometheus_client::{metrics::counter::Counter, registry::Registry};

use crate::{
    certificates,
    files::ReloadMetrics,
    server::{self, ReviewMetrics, TrafficMetrics},
};

/// All metrics of the process.
pub struct Metrics {
    /// Metrics of the server.
    pub server: Arc<server::Metrics>,
    /// Metrics of files that are reloaded on change.
    pub reloads: Arc<ReloadMetrics>,
    /// Metrics of self-managed certificates.
    pub certificates: Arc<certificates::Metrics>,
    /// Log lines that were dropped.
    pub dropped_lines: Counter,
    /// Spans that were dropped.
    pub dropped_spans: Counter,
}

impl Default for Metrics {
    /// Registers all metrics, with every series at zero.
    fn default() -> Self {
        let mut registry = Registry::with_prefix("clusterprofile_webhook");
        let reviews = ReviewMetrics::register(&mut registry);
        let reloads = Arc::new(ReloadMetrics::register(&mut registry));
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
        let traffic = TrafficMetrics::register(&mut registry);
        let certificates = Arc::new(certificates::Metrics::register(&mut registry, Arc::clone(&reloads)));
        let server = Arc::new(server::Metrics { registry, reviews, traffic });
        Self { server, reloads, certificates, dropped_lines, dropped_spans }
    }
}
