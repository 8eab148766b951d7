//! The rule catalogue, and what it says of a change.
//!
//! [`review`] runs the rules of a phase, weighs what they find (override, ratchet, audit) and returns findings and fixes in
//! catalogue order; [`patch`] turns the fixes into one JSON Patch.

use std::fmt;

use self::ratchet::{Noted, Ratchet};
pub(crate) use self::syntax::is_label;
pub use self::{
    catalogue::{RULES, find, named},
    change::{Change, Operation, Part},
    patch::patch,
    policy::{Effect, Policy},
    problem::{Problem, Value, quote, shown},
    report::{Finding, Fix, Level, Omitted, Report},
};

mod access_providers;
mod catalogue;
mod change;
mod cluster_data;
mod cluster_manager;
mod conditions;
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

/// What the rules of `phase` say of `change`, in catalogue order, nothing silent among it.
///
/// Empty for an object that is being deleted: to refuse the removal of a finalizer would keep it for ever.
#[must_use]
pub fn review<'a>(change: &Change<'a>, phase: Phase, policy: &Policy) -> Report<'a> {
    if change.is_deletion() {
        return Report::default();
    }
    let report = run(change, phase, policy, Ratchet::Off);
    match change.stored() {
        Some(stored) if !report.findings.is_empty() => {
            let stored = run(&stored, phase, policy, Ratchet::Note(Noted::default()));
            run(change, phase, policy, stored.ratchet.turned())
        }
        _ => report,
    }
}

fn run<'a>(change: &Change<'a>, phase: Phase, policy: &Policy, ratchet: Ratchet) -> Report<'a> {
    let mut report = Report::under(ratchet);
    for rule in RULES {
        let effect = policy.effect(rule);
        let speaks = rule.phase == phase || (phase == Phase::Mutate && !rule.fix.is_empty());
        if speaks && effect != Effect::Off {
            report.begin(rule, phase, policy);
            (rule.check)(change, &mut report);
        }
    }
    report
}
