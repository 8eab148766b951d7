//! What is told of certificates that are managed; where they are not, all of it stays zero.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::review::Phase;

/// Metrics of certificates that are managed.
pub struct Certificates {
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

/// A field of a webhook configuration that somebody has overwritten.
#[derive(Clone, Copy, Debug)]
pub enum Repair {
    /// Which authorities are trusted.
    CaBundle,
    /// Whether what is not reviewed is refused.
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

/// A step of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new authority was made.
    Made,
    /// Every live configuration trusts it.
    Trusted,
    /// It signs.
    Promoted,
    /// One that signs no more is trusted no more.
    Removed,
}

impl Step {
    /// All, as the metric lists them.
    pub const ALL: [Self; 4] = [Self::Made, Self::Trusted, Self::Promoted, Self::Removed];

    /// The value of the metric's label.
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

/// What of managing certificates has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// A change is noticed half a minute late.
    Watch,
    /// The Secret or a configuration could not be read.
    Read,
    /// The Secret or a configuration could not be written.
    Write,
    /// The Lease could not be read or written.
    Lease,
    /// The Secret holds what cannot be used.
    Secret,
    /// A live configuration does not vouch for a new leaf.
    Trust,
    /// The dry run of a bad profile was not denied by this webhook.
    Arming,
    /// An Event could not be written.
    Event,
}

impl Failure {
    /// All, as the metric lists them.
    pub const ALL: [Self; 8] =
        [Self::Watch, Self::Read, Self::Write, Self::Lease, Self::Secret, Self::Trust, Self::Arming, Self::Event];

    /// The value of the metric's label.
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

impl Certificates {
    /// Metrics that have counted nothing. Every series is there from the start.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
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
            "When the authority expires that signs what is served, in Unix time; 0 where none is managed",
            Unit::Seconds,
            metrics.authority_expiry.clone(),
        );
        registry.register(
            "certificate_trusted",
            "1 where the live webhook configuration vouches for the certificate that is served, by phase",
            metrics.trusted.clone(),
        );
        registry.register(
            "authority_rotation_steps",
            "Steps of rotations of the authority that this replica has made",
            metrics.steps.clone(),
        );
        registry.register(
            "repairs",
            "Fields of webhook configurations that somebody had overwritten, by field",
            metrics.repairs.clone(),
        );
        registry.register(
            "certificate_failures",
            "Attempts at managing certificates that have failed, by what has",
            metrics.failures.clone(),
        );
        registry.register("leading", "1 while this replica writes what all share", metrics.leading.clone());
        registry.register(
            "armed",
            "1 where this replica leads and the validating webhook configuration fails closed",
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

    /// Tells when the authority expires that signs.
    pub fn set_ca_expiry(&self, unix_seconds: i64) {
        #[expect(clippy::cast_precision_loss, reason = "seconds are exact in f64 for millions of years")]
        self.authority_expiry.set(unix_seconds as f64);
    }

    /// Tells whether the live configuration vouches for what is served.
    pub fn set_trusted(&self, phase: Phase, is_trusted: bool) {
        self.trusted.get_or_create(&PhaseLabels { phase: phase.name() }).set(i64::from(is_trusted));
    }

    /// Counts a step of a rotation.
    pub fn count_step(&self, step: Step) {
        self.steps.get_or_create(&StepLabels { step: step.name() }).inc();
    }

    /// Counts a field that says again what it must.
    pub fn count_repair(&self, repair: Repair) {
        self.repairs.get_or_create(&RepairLabels { field: repair.field() }).inc();
    }

    /// Counts an attempt that has failed.
    pub fn count_failure(&self, failure: Failure) {
        self.failures.get_or_create(&FailureLabels { failure: failure.name() }).inc();
    }

    /// Tells whether this replica is the one that writes.
    pub fn set_leading(&self, is_leading: bool) {
        self.leading.set(i64::from(is_leading));
        if !is_leading {
            self.armed.set(0);
        }
    }

    /// Tells whether the validating configuration fails closed.
    pub fn set_armed(&self, is_armed: bool) {
        self.armed.set(i64::from(is_armed));
    }
}
