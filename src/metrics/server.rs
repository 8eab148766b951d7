//! What is told of the server beside its reviews: its version, its load, its handshakes.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Metrics of the server itself.
pub struct Server {
    certificate_start: Gauge<f64, AtomicU64>,
    handshakes: Family<CauseLabels, Counter>,
    connections_limit: Gauge,
    in_flight: Gauge,
    in_flight_limit: Gauge,
    waiting: Gauge,
    waiting_limit: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    cause: &'static str,
}

/// Why a TLS handshake has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The caller does not trust what is served.
    Distrusted,
    /// The caller has no certificate that is accepted.
    Refused,
    /// It was not done in time.
    Slow,
    /// The caller spoke no TLS, or none that goes together with ours, or went away.
    Other,
}

impl HandshakeFailure {
    const ALL: [Self; 4] = [Self::Distrusted, Self::Refused, Self::Slow, Self::Other];

    fn name(self) -> &'static str {
        match self {
            Self::Distrusted => "distrusted",
            Self::Refused => "refused",
            Self::Slow => "slow",
            Self::Other => "other",
        }
    }
}

/// An amount, and the most that it may be.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How much there is.
    pub now: usize,
    /// How much there may be.
    pub most: usize,
}

impl Server {
    /// Metrics that have counted nothing. Every series is there from the start.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            certificate_start: Gauge::default(),
            handshakes: Family::default(),
            connections_limit: Gauge::default(),
            in_flight: Gauge::default(),
            in_flight_limit: Gauge::default(),
            waiting: Gauge::default(),
            waiting_limit: Gauge::default(),
        };
        let build = Family::<VersionLabels, Gauge>::default();
        build.get_or_create(&VersionLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "1, with the version that runs", build);
        registry.register_with_unit(
            "certificate_start",
            "Since when the certificate that is served is valid, in Unix time",
            Unit::Seconds,
            metrics.certificate_start.clone(),
        );
        registry.register(
            "failed_handshakes",
            "TLS handshakes with callers that have failed, by cause",
            metrics.handshakes.clone(),
        );
        let gauges = [
            ("open_connections_limit", "Most connections to the webhook at a time", &metrics.connections_limit),
            ("in_flight_bytes", "Room that bodies take which have outgrown their share", &metrics.in_flight),
            ("in_flight_limit_bytes", "Room for bodies that outgrow their share", &metrics.in_flight_limit),
            ("waiting_requests", "Requests whose body waits for room", &metrics.waiting),
            ("waiting_requests_limit", "Most requests whose body may wait for room", &metrics.waiting_limit),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        for cause in HandshakeFailure::ALL.map(HandshakeFailure::name) {
            drop(metrics.handshakes.get_or_create(&CauseLabels { cause }));
        }
        metrics
    }

    /// Tells since when the certificate that is served is valid.
    pub fn set_certificate_start(&self, unix_seconds: i64) {
        #[expect(clippy::cast_precision_loss, reason = "seconds are exact in f64 for millions of years")]
        self.certificate_start.set(unix_seconds as f64);
    }

    /// Counts a handshake that has failed.
    pub fn count_handshake(&self, failure: HandshakeFailure) {
        self.handshakes.get_or_create(&CauseLabels { cause: failure.name() }).inc();
    }

    /// Tells how many connections there may be.
    pub fn set_connections_limit(&self, most: usize) {
        set(&self.connections_limit, most);
    }

    /// Tells how much room bodies take, in bytes, and how many requests wait for it.
    pub fn set_load(&self, bytes: Load, requests: Load) {
        set(&self.in_flight, bytes.now);
        set(&self.in_flight_limit, bytes.most);
        set(&self.waiting, requests.now);
        set(&self.waiting_limit, requests.most);
    }
}

fn set(gauge: &Gauge, amount: usize) {
    gauge.set(i64::try_from(amount).unwrap_or(i64::MAX));
}
