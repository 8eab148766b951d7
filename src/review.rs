//! The engine: runs rules on a change, and weighs what they find.
//!
//! [`review`] runs the rules of a phase, weighs what they find (override, ratchet, audit) and returns findings and fixes in
//! catalogue order; [`patch`] turns the fixes into one JSON Patch. It knows no rule by name: the catalogue comes from
//! its caller.

use self::reporter::Watch;
pub use self::{
    change::{Change, Operation, Part},
    crd_in_force::{CrdError, CrdInForce},
    patch::patch,
    policy::{Effect, Policy},
    problem::{Problem, Value},
    reporter::{Finding, Fix, Level, Omitted, Report},
    rule::{Phase, Rule},
};
pub(crate) use self::{problem::IN_QUOTES, reporter::FIXES};

mod change;
mod crd_in_force;
mod patch;
mod policy;
mod problem;
mod ratchet;
mod reporter;
mod rule;

/// A review that was given up, for its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// What those of `rules` that are of `phase` say of `change`, in catalogue order, nothing silent among it.
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
    rules: &'static [&'static Rule],
    change: &Change<'a>,
    phase: Phase,
    policy: &Policy,
    must_stop: &'a dyn Fn() -> bool,
) -> Result<Report<'a>, Stopped> {
    let mut report = Report::new(rules, change, phase, policy, Watch::new(must_stop));
    if change.is_deletion() && !change.touches_anything() {
        return Ok(report);
    }
    let foresees = report.foresees();
    let speaks = |rule: &Rule| {
        rule.phase == phase || (phase == Phase::Mutate && !rule.fix.is_empty()) || (foresees && rule.may_be_in_schema())
    };
    let is_on = |rule: &&&'static Rule| policy.effect(rule) != Effect::Off;
    for rule in rules.iter().filter(|rule| speaks(rule)).filter(is_on) {
        report.run(rule, policy).ok_or(Stopped)?;
    }
    if report.is_foreseen() {
        for rule in rules.iter().filter(|rule| !speaks(rule)).filter(is_on) {
            report.run(rule, policy).ok_or(Stopped)?;
        }
    }
    report.close();
    Ok(report)
}
