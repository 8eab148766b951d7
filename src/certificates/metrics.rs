//! Metrics of self-managed certificates. All stay zero with other certificates.

use std::sync::{Arc, atomic::AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{files::ReloadMetrics, review::Phase};

/// Metrics of self-managed certificates.
pub struct Metrics {
    /// Counts the reloads of the serving certificate.
    pub(super) reloads: Arc<ReloadMetrics>,
    authority_expiry: Gauge<f64, AtomicU64>,
    trusted: Family<PhaseLabels, Gauge>,
    steps: Family<StepLabels, Counter>,
    repairs: Family<RepairLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    leading: Gauge,
    armed: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    step: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RepairLabels {
    field: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    failure: &'static str,
}

/// A field of a webhook configuration that another client had overwritten.
#[derive(Clone, Copy, Debug)]
pub enum Repair {
    /// `caBundle`.
    CaBundle,
    /// `failurePolicy`.
    FailurePolicy,
}

impl Repair {
    const ALL: [Self; 2] = [Self::CaBundle, Self::FailurePolicy];

    fn field(self) -> &'static str {
        match self {
            Self::CaBundle => "ca_bundle",
            Self::FailurePolicy => "failure_policy",
        }
    }
}

/// A step of a CA rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new CA was made.
    Made,
    /// Every live configuration trusts it.
    Trusted,
    /// It signs leaf certificates.
    Promoted,
    /// An old CA was removed from the bundles.
    Removed,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 4] = [Self::Made, Self::Trusted, Self::Promoted, Self::Removed];

    /// The label value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Trusted => "trusted",
            Self::Promoted => "promoted",
            Self::Removed => "removed",
        }
    }
}

/// What failed in certificate management.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// A watch failed, so changes are noticed up to half a minute late.
    Watch,
    /// The Secret or a configuration could not be read.
    Read,
    /// The Secret or a configuration could not be written.
    Write,
    /// The Lease could not be read or written.
    Lease,
    /// The Secret has invalid or missing content.
    Secret,
    /// A live configuration does not trust a new leaf certificate.
    Trust,
    /// The webhook did not deny the arming probe.
    Arming,
    /// An Event could not be emitted.
    Event,
}

impl Failure {
    /// All failures.
    pub const ALL: [Self; 8] =
        [Self::Watch, Self::Read, Self::Write, Self::Lease, Self::Secret, Self::Trust, Self::Arming, Self::Event];

    /// The label value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Read => "read",
            Self::Write => "write",
            Self::Lease => "lease",
            Self::Secret => "secret",
            Self::Trust => "trust",
            Self::Arming => "arming",
            Self::Event => "event",
        }
    }
}

impl Metrics {
    /// Registers the metrics, with every series at zero.
    pub(crate) fn register(registry: &mut Registry, reloads: Arc<ReloadMetrics>) -> Self {
        let metrics = Self {
            reloads,
            authority_expiry: Gauge::default(),
            trusted: Family::default(),
            steps: Family::default(),
            repairs: Family::default(),
            failures: Family::default(),
            leading: Gauge::default(),
            armed: Gauge::default(),
        };
        registry.register_with_unit(
            "authority_expiry",
            "Expiry of the CA that signed the serving certificate, in Unix time; 0 without self-managed certificates",
            Unit::Seconds,
            metrics.authority_expiry.clone(),
        );
        registry.register(
            "certificate_trusted",
            "1 if the live webhook configuration trusts the serving certificate, 0 otherwise, by phase",
            metrics.trusted.clone(),
        );
        registry.register(
            "authority_rotation_steps",
            "Number of CA rotation steps done by this replica, by step",
            metrics.steps.clone(),
        );
        registry.register(
            "repairs",
            "Number of repairs of webhook configuration fields that another client had overwritten, by field",
            metrics.repairs.clone(),
        );
        registry.register(
            "certificate_failures",
            "Number of failures of certificate management, by what failed",
            metrics.failures.clone(),
        );
        registry.register("leading", "1 if this replica is the leader, 0 otherwise", metrics.leading.clone());
        registry.register(
            "armed",
            "1 if this replica is the leader and failurePolicy of the validating webhook is Fail, 0 otherwise",
            metrics.armed.clone(),
        );
        metrics.show_all();
        metrics
    }

    fn show_all(&self) {
        for phase in [Phase::Mutate, Phase::Validate] {
            self.set_trusted(phase, false);
        }
        for step in Step::ALL.map(Step::name) {
            drop(self.steps.get_or_create(&StepLabels { step }));
        }
        for field in Repair::ALL.map(Repair::field) {
            drop(self.repairs.get_or_create(&RepairLabels { field }));
        }
        for failure in Failure::ALL.map(Failure::name) {
            drop(self.failures.get_or_create(&FailureLabels { failure }));
        }
    }

    /// Sets the expiry of the CA that signed the serving certificate.
    pub fn set_ca_expiry(&self, unix_seconds: i64) {
        #[expect(clippy::cast_precision_loss, reason = "seconds are exact in f64 for millions of years")]
        self.authority_expiry.set(unix_seconds as f64);
    }

    /// Sets whether the live configuration trusts the serving certificate.
    pub fn set_trusted(&self, phase: Phase, is_trusted: bool) {
        self.trusted.get_or_create(&PhaseLabels { phase: phase.name() }).set(i64::from(is_trusted));
    }

    /// Counts a step of a CA rotation.
    pub fn count_step(&self, step: Step) {
        self.steps.get_or_create(&StepLabels { step: step.name() }).inc();
    }

    /// Counts a repaired field.
    pub fn count_repair(&self, repair: Repair) {
        self.repairs.get_or_create(&RepairLabels { field: repair.field() }).inc();
    }

    /// Counts a failure.
    pub fn count_failure(&self, failure: Failure) {
        self.failures.get_or_create(&FailureLabels { failure: failure.name() }).inc();
    }

    /// Sets whether this replica is the leader. If not, it also reports the webhook as not armed.
    pub fn set_leading(&self, is_leading: bool) {
        self.leading.set(i64::from(is_leading));
        if !is_leading {
            self.armed.set(0);
        }
    }

    /// Sets whether the validating configuration is armed.
    pub fn set_armed(&self, is_armed: bool) {
        self.armed.set(i64::from(is_armed));
    }
}
