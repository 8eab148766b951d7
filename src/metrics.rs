//! What Prometheus is told. Labels come from closed sets alone: phase, part, rule, outcome.

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

/// Every metric of the process.
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
    /// Of files that are read again.
    pub files: Files,
    /// Of the server itself.
    pub server: Server,
    /// Of certificates that are managed.
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
    /// Metrics that have counted nothing.
    fn default() -> Self {
        let mut registry = Registry::with_prefix("clusterprofile_webhook");
        let reviews = Family::default();
        registry.register(
            "reviews",
            "Number of admission reviews answered, by phase, part of the object and whether the write was allowed",
            reviews.clone(),
        );
        let findings = Family::default();
        registry.register(
            "findings",
            "Reviews in which a rule denied, warned or filled in, by phase",
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
            "Writes that rules deny and that claimed break-glass, by what became of it",
            break_glass.clone(),
        );
        let exempt_reviews = Family::default();
        registry.register(
            "exempt_reviews",
            "Reviews of exempt namespaces, allowed without asking a rule, by phase",
            exempt_reviews.clone(),
        );
        let review_duration = Family::new_with_constructor(review_duration as fn() -> Histogram);
        registry.register_with_unit(
            "review_duration",
            "Time that a review took once its turn had come, by phase",
            Unit::Seconds,
            review_duration.clone(),
        );
        let bad_requests = Family::default();
        registry.register("bad_requests", "Bodies that were no admission review, by phase", bad_requests.clone());
        let panics = Counter::default();
        registry.register("panics", "Reviews and connections that ended in a defect of the webhook", panics.clone());
        let files = Files::register(&mut registry);
        let dropped_lines = Counter::default();
        registry.register(
            "dropped_log_lines",
            "Lines of the log that standard error did not take in time",
            dropped_lines.clone(),
        );
        let dropped_spans = Counter::default();
        registry.register(
            "dropped_spans",
            "Spans that the collector did not take in time, of those that were to be sent",
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

/// What a review is of that judges no part of a ClusterProfile: another object, or one that cannot be read.
const NO_PART: &str = "none";

/// Whether a rule is of those that let a change of health pass: what it says is of properties or of the version.
fn may_pass_for_health(rule: &str) -> bool {
    rule.starts_with("property-") || rule == "kubernetes-version"
}

fn review_duration() -> Histogram {
    /// From what a small review costs to what the API server waits at the most.
    const SECONDS: [f64; 14] =
        [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
    Histogram::new(SECONDS)
}

impl Metrics {
    /// Counts an answer, given the seconds that it took.
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

    /// Counts rules that would have denied a write, and only warned, for it changes the health of the cluster.
    pub fn count_passed_for_health(&self, rules: &[&'static str]) {
        for rule in rules {
            self.passed_for_health.get_or_create(&PassedLabels { rule }).inc();
        }
    }

    /// Counts a body that was no review.
    pub fn count_bad_request(&self, phase: Phase) {
        self.bad_requests.get_or_create(&PhaseLabels { phase: phase.name() }).inc();
    }

    /// Counts a review or a connection that ended in a defect.
    pub fn count_panic(&self) {
        self.panics.inc();
    }

    /// Counts a line of the log that could not be written.
    pub fn count_dropped_line(&self) {
        self.dropped_lines.inc();
    }

    /// Counts spans that no collector has got.
    pub fn count_dropped_spans(&self, count: usize) {
        self.dropped_spans.inc_by(count as u64);
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes all that is written to it");
        text
    }

    /// Makes every series there from the start, at zero: a family without any is not rendered, and a rate needs a first value.
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
