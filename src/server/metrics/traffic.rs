//! Metrics of the server: version, serving certificate, connections and load.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Metrics of the version, the serving certificate, connections and load.
pub struct TrafficMetrics {
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

/// Why a TLS handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The client does not trust the serving certificate.
    Distrusted,
    /// The client presented no accepted certificate.
    Refused,
    /// It timed out.
    Slow,
    /// The client used no TLS or an unsupported version, or closed the connection.
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
    /// The queue is full.
    QueueFull,
    /// Its body arrived slowly while other requests waited for memory.
    Slow,
    /// Its deadline passed while its body arrived, while it waited, or during the review.
    Deadline,
    /// Too many responses wait for clients to read them.
    Unsent,
}

impl Shed {
    const ALL: [Self; 4] = [Self::QueueFull, Self::Slow, Self::Deadline, Self::Unsent];

    /// The label value, which spans use too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Slow => "slow_body",
            Self::Deadline => "deadline",
            Self::Unsent => "unsent_answers",
        }
    }
}

/// An amount in use, and its limit.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The amount in use.
    pub now: usize,
    /// The limit.
    pub most: usize,
}

impl TrafficMetrics {
    /// Registers the metrics, with every series at zero.
    pub(crate) fn register(registry: &mut Registry) -> Self {
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
        registry.register("build_info", "1, with the version as a label", build);
        registry.register_with_unit(
            "certificate_start",
            "Start of validity of the serving certificate, in Unix time",
            Unit::Seconds,
            metrics.certificate_start.clone(),
        );
        registry.register_with_unit(
            "certificate_expiry",
            "Expiry of the serving certificate, in Unix time",
            Unit::Seconds,
            metrics.certificate_expiry.clone(),
        );
        registry.register(
            "failed_handshakes",
            "Number of failed TLS handshakes, by reason",
            metrics.handshakes.clone(),
        );
        registry.register(
            "shed_requests",
            "Number of requests that got 503 instead of a review, by reason",
            metrics.shed.clone(),
        );
        registry.register(
            "evicted_connections",
            "Number of connections evicted for a new one",
            metrics.evictions.clone(),
        );
        let gauges = [
            (
                "open_connections",
                "Number of open connections to the webhook, including those in a TLS handshake",
                &metrics.connections,
            ),
            ("open_connections_limit", "Maximum number of open connections to the webhook", &metrics.connections_limit),
            (
                "in_flight_bytes",
                "Memory reserved for request bodies larger than the per-connection share, in bytes",
                &metrics.in_flight,
            ),
            (
                "in_flight_limit_bytes",
                "Maximum memory for request bodies larger than the per-connection share, in bytes",
                &metrics.in_flight_limit,
            ),
            ("waiting_requests", "Number of requests waiting for body memory", &metrics.waiting),
            ("waiting_requests_limit", "Maximum number of requests waiting for body memory", &metrics.waiting_limit),
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

    /// Sets start and expiry of the serving certificate, in Unix seconds.
    pub fn set_certificate_validity(&self, validity: [i64; 2]) {
        #[expect(clippy::cast_precision_loss, reason = "seconds are exact in f64 for millions of years")]
        let [from, until] = validity.map(|seconds| seconds as f64);
        self.certificate_start.set(from);
        self.certificate_expiry.set(until);
    }

    /// Counts a failed handshake.
    pub fn count_handshake(&self, failure: HandshakeFailure) {
        self.handshakes.get_or_create(&ReasonLabels { reason: failure.name() }).inc();
    }

    /// Counts a request that was not reviewed.
    pub fn count_shed(&self, reason: Shed) {
        self.shed.get_or_create(&ReasonLabels { reason: reason.name() }).inc();
    }

    /// Counts an evicted connection.
    pub fn count_eviction(&self) {
        self.evictions.inc();
    }

    /// Sets the number of open connections.
    pub fn set_connections(&self, count: usize) {
        set(&self.connections, count);
    }

    /// Sets the connection limit.
    pub fn set_connections_limit(&self, most: usize) {
        set(&self.connections_limit, most);
    }

    /// Sets the reserved bytes, and the number of requests waiting for memory.
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
