//! The rule catalogue, and what it says of a change.
//!
//! [`review`] runs the rules of a phase, weighs what they find (override, ratchet, audit) and returns findings and fixes in
//! catalogue order; [`patch`] turns the fixes into one JSON Patch.

use std::fmt;

use self::report::Watch;
pub use self::{
    catalogue::{RULES, find, named},
    change::{Change, Operation, Part},
    crd_in_force::{CrdError, CrdInForce},
    patch::patch,
    policy::{Effect, Policy},
    problem::{Problem, Value, quote, shown},
    report::{Finding, Fix, Level, Omitted, Report},
};
pub(crate) use self::{report::FIXES, syntax::is_label};

mod access_providers;
mod catalogue;
mod change;
mod cluster_data;
mod cluster_manager;
mod conditions;
mod crd_in_force;
mod extensions;
mod field_type;
mod inventory;
mod patch;
mod policy;
mod problem;
mod properties;
mod ratchet;
mod report;
mod secrets;
mod strings;
mod syntax;
mod transitions;
mod url;
mod version;

/// One MUST, SHOULD or safety fact about a ClusterProfile.
#[derive(Debug)]
pub struct Rule {
    /// Kebab-case, subject first; part of the public interface (`--effect`, `explain`, metrics).
    pub name: &'static str,
    /// What must hold, as one clause.
    pub summary: &'static str,
    /// Where the requirement comes from.
    pub source: &'static str,
    /// What a finding does unless overridden.
    pub effect: Effect,
    /// Where the effect is another one: by kind of finding or by API version. Empty where it never is.
    pub exceptions: &'static str,
    /// What is filled in on /mutate. Empty where nothing is.
    pub fix: &'static str,
    /// The phase whose answer carries the findings.
    pub phase: Phase,
    /// The release that brought the rule.
    pub since: &'static str,
    /// Markdown: why a consumer is hurt, one *Rejected* and one *Accepted* example.
    pub docs: &'static str,
    /// Reports what the change does wrong.
    pub check: for<'a> fn(&Change<'a>, &mut Report<'a>),
}

/// A step of admission, one webhook each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// /mutate: fixes, never a refusal.
    Mutate,
    /// /validate: findings, never a change.
    Validate,
}

impl Phase {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Validate => "validate",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Rule {
    /// Whether its findings give way where a write brings news of the cluster's health.
    ///
    /// Managers send health, properties, version and access in one write, so that to refuse one bad entry, which a member
    /// reports, would hide that its cluster is lost. What says where credentials go does not give way.
    pub(crate) fn yields_to_health(&self) -> bool {
        self.name.starts_with("property-") || self.name == version::KUBERNETES_VERSION.name
    }
}

/// A review that was given up, for its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// What the rules of `phase` say of `change`, in catalogue order, nothing silent among it.
///
/// What the API server will refuse by the CRD in force never reaches /validate. Where that is known and certain, /mutate warns
/// of everything that /validate would have found. Else it says nothing of that.
///
/// Empty for an object that is being deleted where the write changes nothing that rules read: to refuse the removal of a
/// finalizer would keep the object for ever.
///
/// # Errors
///
/// [`Stopped`] soon after `must_stop` says so. It is asked often.
pub fn review<'a>(
    change: &Change<'a>,
    phase: Phase,
    policy: &Policy,
    must_stop: &'a dyn Fn() -> bool,
) -> Result<Report<'a>, Stopped> {
    let mut report = Report::new(change, phase, policy, Watch::new(must_stop));
    if change.is_deletion() && !change.touches_anything() {
        return Ok(report);
    }
    let foresees = report.foresees();
    let speaks = |rule: &Rule| {
        rule.phase == phase || (phase == Phase::Mutate && !rule.fix.is_empty()) || (foresees && rule.may_be_in_schema())
    };
    let is_on = |rule: &&&'static Rule| policy.effect(rule) != Effect::Off;
    for rule in RULES.iter().filter(|rule| speaks(rule)).filter(is_on) {
        report.run(rule, policy).ok_or(Stopped)?;
    }
    if report.is_foreseen() {
        for rule in RULES.iter().filter(|rule| !speaks(rule)).filter(is_on) {
            report.run(rule, policy).ok_or(Stopped)?;
        }
    }
    report.close();
    Ok(report)
}
