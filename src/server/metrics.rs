//! Metrics of the server.

use prometheus_client::{encoding::text::encode, registry::Registry};

pub(super) use self::traffic::{HandshakeFailure, Load, Shed};
pub use self::{reviews::ReviewMetrics, traffic::TrafficMetrics};

mod reviews;
mod traffic;

/// Metrics of the server, and the registry of all metrics, which it serves.
pub struct Metrics {
    /// All metrics of the process.
    pub registry: Registry,
    /// Metrics of reviews.
    pub reviews: ReviewMetrics,
    /// Metrics of connections, load and the serving certificate.
    pub traffic: TrafficMetrics,
}

impl Metrics {
    /// All metrics of the process in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text
    }
}
