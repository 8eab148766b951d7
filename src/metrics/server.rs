//! What is told of the server beside its reviews: its version, its certificate, its connections, its load.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Metrics of the server itself.
pub struct Server {
    certificate_start: Gauge<f64, AtomicU64>,
    certificate_expiry: Gauge<f64, AtomicU64>,
    handshakes: Family<ReasonLabels, Counter>,
    shed: Family<ReasonLabels, Counter>,
    evictions: Counter,
    connections: Gauge,
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
struct ReasonLabels {
    reason: &'static str,
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

/// Why a request was not reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// Too many requests wait for room.
    QueueFull,
    /// Its body came slowly, and others needed its room.
    Slow,
    /// Its deadline passed while its body came in or waited, or while it was reviewed.
    Deadline,
    /// Too many answers are not taken by their callers.
    Unsent,
}

impl Shed {
    const ALL: [Self; 4] = [Self::QueueFull, Self::Slow, Self::Deadline, Self::Unsent];

    /// The value of the metric's label, and what a span calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Slow => "slow_body",
            Self::Deadline => "deadline",
            Self::Unsent => "unsent_answers",
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
            certificate_expiry: Gauge::default(),
            handshakes: Family::default(),
            shed: Family::default(),
            evictions: Counter::default(),
            connections: Gauge::default(),
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
        registry.register_with_unit(
            "certificate_expiry",
            "When the certificate that is served expires, in Unix time",
            Unit::Seconds,
            metrics.certificate_expiry.clone(),
        );
        registry.register(
            "failed_handshakes",
            "TLS handshakes with callers that have failed, by reason",
            metrics.handshakes.clone(),
        );
        registry.register("shed_requests", "Requests answered 503 without a review, by reason", metrics.shed.clone());
        registry.register(
            "evicted_connections",
            "Connections closed to make room for a new one",
            metrics.evictions.clone(),
        );
        let gauges = [
            ("open_connections", "Connections to the webhook, those in a handshake too", &metrics.connections),
            ("open_connections_limit", "Most connections to the webhook at a time", &metrics.connections_limit),
            ("in_flight_bytes", "Room that bodies take which have outgrown their share", &metrics.in_flight),
            ("in_flight_limit_bytes", "Room for bodies that outgrow their share", &metrics.in_flight_limit),
            ("waiting_requests", "Requests whose body waits for room", &metrics.waiting),
            ("waiting_requests_limit", "Most requests whose body may wait for room", &metrics.waiting_limit),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        for reason in HandshakeFailure::ALL.map(HandshakeFailure::name) {
            drop(metrics.handshakes.get_or_create(&ReasonLabels { reason }));
        }
        for reason in Shed::ALL.map(Shed::name) {
            drop(metrics.shed.get_or_create(&ReasonLabels { reason }));
        }
        metrics
    }

    /// Tells from when until when the certificate that is served is valid, in Unix seconds.
    pub fn set_certificate_validity(&self, validity: [i64; 2]) {
        #[expect(clippy::cast_precision_loss, reason = "seconds are exact in f64 for millions of years")]
        let [from, until] = validity.map(|seconds| seconds as f64);
        self.certificate_start.set(from);
        self.certificate_expiry.set(until);
    }

    /// Counts a handshake that has failed.
    pub fn count_handshake(&self, failure: HandshakeFailure) {
        self.handshakes.get_or_create(&ReasonLabels { reason: failure.name() }).inc();
    }

    /// Counts a request that was not reviewed.
    pub fn count_shed(&self, reason: Shed) {
        self.shed.get_or_create(&ReasonLabels { reason: reason.name() }).inc();
    }

    /// Counts a connection that was closed to make room.
    pub fn count_eviction(&self) {
        self.evictions.inc();
    }

    /// Tells how many connections there are.
    pub fn set_connections(&self, count: usize) {
        set(&self.connections, count);
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
