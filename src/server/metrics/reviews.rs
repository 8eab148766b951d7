//! Metrics of reviews.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    admission::{BreakGlass, Response},
    review::Phase,
    rules::RULES,
};

/// Metrics of reviews.
pub struct ReviewMetrics {
    reviewed: Family<ReviewLabels, Counter>,
    findings: Family<RuleLabels, Counter>,
    passed_for_health: Family<PassedLabels, Counter>,
    break_glass: Family<OutcomeLabels, Counter>,
    exempt: Family<PhaseLabels, Counter>,
    duration: Family<PhaseLabels, Histogram>,
    bad_requests: Family<PhaseLabels, Counter>,
    panics: Counter,
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

impl ReviewMetrics {
    /// Registers the metrics, with every series at zero.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reviewed: Family::default(),
            findings: Family::default(),
            passed_for_health: Family::default(),
            break_glass: Family::default(),
            exempt: Family::default(),
            duration: Family::new_with_constructor(review_duration),
            bad_requests: Family::default(),
            panics: Counter::default(),
        };
        registry.register(
            "reviews",
            "Number of admission reviews, by phase, part of the object and whether the write was allowed",
            metrics.reviewed.clone(),
        );
        registry.register(
            "findings",
            "Number of reviews in which a rule denied, warned or filled in a value, by phase and rule",
            metrics.findings.clone(),
        );
        registry.register(
            "passed_for_health",
            "Number of status writes in which a rule only warned because the write changes the health of the cluster, by rule",
            metrics.passed_for_health.clone(),
        );
        registry.register(
            "break_glass_claims",
            "Number of denied writes that claimed break-glass, by outcome",
            metrics.break_glass.clone(),
        );
        registry.register(
            "exempt_reviews",
            "Number of reviews allowed without running rules because the namespace is exempt, by phase",
            metrics.exempt.clone(),
        );
        registry.register_with_unit(
            "review_duration",
            "Duration of a review in seconds, without the time in the queue, by phase",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "bad_requests",
            "Number of requests whose body was not an admission review, by phase",
            metrics.bad_requests.clone(),
        );
        registry.register(
            "panics",
            "Number of reviews and connections that ended in an internal error",
            metrics.panics.clone(),
        );
        metrics.show_all();
        metrics
    }

    /// Counts a review, with its duration in seconds.
    pub fn count_review(&self, phase: Phase, response: &Response, seconds: f64) {
        let phase = phase.name();
        let allowed = if response.allowed { "true" } else { "false" };
        let part = if response.part.is_empty() { NO_PART } else { response.part };
        self.reviewed.get_or_create(&ReviewLabels { phase, part, allowed }).inc();
        self.duration.get_or_create(&PhaseLabels { phase }).observe(seconds);
        if response.exempt {
            self.exempt.get_or_create(&PhaseLabels { phase }).inc();
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

    /// Creates every series at zero: a family without a series is not rendered, and a rate needs a first value.
    fn show_all(&self) {
        for phase in [Phase::Mutate, Phase::Validate].map(Phase::name) {
            for part in ["main", "status", NO_PART] {
                for allowed in ["true", "false"] {
                    drop(self.reviewed.get_or_create(&ReviewLabels { phase, part, allowed }));
                }
            }
            drop(self.duration.get_or_create(&PhaseLabels { phase }));
            drop(self.bad_requests.get_or_create(&PhaseLabels { phase }));
            drop(self.exempt.get_or_create(&PhaseLabels { phase }));
        }
        for rule in RULES {
            drop(self.findings.get_or_create(&RuleLabels { phase: rule.phase.name(), rule: rule.name }));
            if rule.yields_to_health {
                drop(self.passed_for_health.get_or_create(&PassedLabels { rule: rule.name }));
            }
        }
        for outcome in BreakGlass::ALL.map(BreakGlass::name) {
            drop(self.break_glass.get_or_create(&OutcomeLabels { outcome }));
        }
    }
}

/// The label value for a review of no part of a ClusterProfile: of another kind of object, or an unreadable one.
const NO_PART: &str = "none";

fn review_duration() -> Histogram {
    /// From the cost of a small review to a common timeout of the API server.
    const SECONDS: [f64; 14] =
        [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
    Histogram::new(SECONDS)
}
