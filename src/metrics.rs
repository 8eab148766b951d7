//! Metrics for Prometheus. The values of every label come from a fixed set.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

pub use self::{
    certificates::{Certificates, Failure, Repair, Step},
    files::{File, Files},
    server::{HandshakeFailure, Load, Server, Shed},
};
use crate::{
    admission::{BreakGlass, Response},
    review::Phase,
    rules::RULES,
};

mod certificates;
mod files;
mod server;

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    findings: Family<RuleLabels, Counter>,
    passed_for_health: Family<PassedLabels, Counter>,
    break_glass: Family<OutcomeLabels, Counter>,
    exempt_reviews: Family<PhaseLabels, Counter>,
    review_duration: Family<PhaseLabels, Histogram>,
    bad_requests: Family<PhaseLabels, Counter>,
    panics: Counter,
    dropped_lines: Counter,
    dropped_spans: Counter,
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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    phase: &'static str,
    part: &'static str,
    allowed: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    phase: &'static str,
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassedLabels {
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Default for Metrics {
    /// Registers all metrics, with every series at zero.
    fn default() -> Self {
        let mut registry = Registry::with_prefix("clusterprofile_webhook");
        let reviews = Family::default();
        registry.register(
            "reviews",
            "Number of admission reviews, by phase, part of the object and whether the write was allowed",
            reviews.clone(),
        );
        let findings = Family::default();
        registry.register(
            "findings",
            "Number of reviews in which a rule denied, warned or set a default, by phase and rule",
            findings.clone(),
        );
        let passed_for_health = Family::default();
        registry.register(
            "passed_for_health",
            "Number of status writes in which a rule only warned because the write changes the health of the cluster, by rule",
            passed_for_health.clone(),
        );
        let break_glass = Family::default();
        registry.register(
            "break_glass_claims",
            "Number of denied writes that claimed break-glass, by outcome",
            break_glass.clone(),
        );
        let exempt_reviews = Family::default();
        registry.register(
            "exempt_reviews",
            "Number of reviews allowed without running rules because the namespace is exempt, by phase",
            exempt_reviews.clone(),
        );
        let review_duration = Family::new_with_constructor(review_duration as fn() -> Histogram);
        registry.register_with_unit(
            "review_duration",
            "Duration of a review in seconds, without the time in the queue, by phase",
            Unit::Seconds,
            review_duration.clone(),
        );
        let bad_requests = Family::default();
        registry.register(
            "bad_requests",
            "Number of requests whose body was not an admission review, by phase",
            bad_requests.clone(),
        );
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
        let metrics = Self {
            registry,
            reviews,
            findings,
            passed_for_health,
            break_glass,
            exempt_reviews,
            review_duration,
            bad_requests,
            panics,
            dropped_lines,
            dropped_spans,
            files,
            server,
            certificates,
        };
        metrics.show_all();
        metrics
    }
}

/// The label value for a review of no part of a ClusterProfile: of another kind of object, or an unreadable one.
const NO_PART: &str = "none";

/// Whether a rule only warns when the write changes the health of the cluster: a rule of properties or of the version.
fn may_pass_for_health(rule: &str) -> bool {
    rule.starts_with("property-") || rule == "kubernetes-version"
}

fn review_duration() -> Histogram {
    /// From the cost of a small review to a common timeout of the API server.
    const SECONDS: [f64; 14] =
        [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
    Histogram::new(SECONDS)
}

impl Metrics {
    /// Counts a review, with its duration in seconds.
    pub fn count_review(&self, phase: Phase, response: &Response, seconds: f64) {
        let phase = phase.name();
        let allowed = if response.allowed { "true" } else { "false" };
        let part = if response.part.is_empty() { NO_PART } else { response.part };
        self.reviews.get_or_create(&ReviewLabels { phase, part, allowed }).inc();
        self.review_duration.get_or_create(&PhaseLabels { phase }).observe(seconds);
        if response.exempt {
            self.exempt_reviews.get_or_create(&PhaseLabels { phase }).inc();
        }
        for rule in &response.rules {
            self.findings.get_or_create(&RuleLabels { phase, rule }).inc();
        }
        if let Some(outcome) = response.break_glass.map(BreakGlass::name) {
            self.break_glass.get_or_create(&OutcomeLabels { outcome }).inc();
        }
    }

    /// Counts rules that only warned because the write changes the health of the cluster.
    pub fn count_passed_for_health(&self, rules: &[&'static str]) {
        for rule in rules {
            self.passed_for_health.get_or_create(&PassedLabels { rule }).inc();
        }
    }

    /// Counts a request whose body is not an admission review.
    pub fn count_bad_request(&self, phase: Phase) {
        self.bad_requests.get_or_create(&PhaseLabels { phase: phase.name() }).inc();
    }

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

    /// Creates every series at zero: a family without a series is not rendered, and a rate needs a first value.
    fn show_all(&self) {
        for phase in [Phase::Mutate, Phase::Validate].map(Phase::name) {
            for part in ["main", "status", NO_PART] {
                for allowed in ["true", "false"] {
                    drop(self.reviews.get_or_create(&ReviewLabels { phase, part, allowed }));
                }
            }
            drop(self.review_duration.get_or_create(&PhaseLabels { phase }));
            drop(self.bad_requests.get_or_create(&PhaseLabels { phase }));
            drop(self.exempt_reviews.get_or_create(&PhaseLabels { phase }));
        }
        for rule in RULES {
            drop(self.findings.get_or_create(&RuleLabels { phase: rule.phase.name(), rule: rule.name }));
            if may_pass_for_health(rule.name) {
                drop(self.passed_for_health.get_or_create(&PassedLabels { rule: rule.name }));
            }
        }
        for outcome in BreakGlass::ALL.map(BreakGlass::name) {
            drop(self.break_glass.get_or_create(&OutcomeLabels { outcome }));
        }
    }
}
