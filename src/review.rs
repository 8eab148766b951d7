//! The engine: runs rules on a change, and weighs what they find.
//!
//! [`review`] runs the rules of a phase and returns a [`Report`]: findings and fixes in catalog order. Each rule writes to a
//! [`Reporter`], which weighs the findings of the rule (override, ratchet, audit). [`patch`] turns the fixes into one JSON Patch.
//! The engine knows no rule by name: the caller passes the catalog.

use self::reporter::Review;
pub use self::{
    change::{Change, Operation, Part},
    crd_in_force::{CrdError, CrdInForce},
    patch::patch,
    policy::{Effect, Policy},
    problem::{Problem, Value, Wording},
    report::{Downgrade, Finding, Fix, Omitted, Report},
    reporter::Reporter,
    rule::{Phase, Rule},
};
pub(crate) use self::{problem::IN_QUOTES, reporter::FIXES};

mod change;
mod crd_in_force;
mod patch;
mod policy;
mod problem;
mod ratchet;
mod report;
mod reporter;
mod rule;

/// A review that was stopped before its end, because its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Runs those of `rules` that speak in `phase` on `change`; returns findings and fixes in catalog order.
///
/// A write that the API server will refuse by the CRD in force never reaches /validate. Where that is known and certain,
/// /mutate warns about everything that /validate would have found. Otherwise it leaves that to /validate.
///
/// The report is empty for an object that is being deleted where the write changes nothing that rules read: a refusal would
/// keep its finalizer, and so the object, forever.
///
/// # Errors
///
/// [`Stopped`] soon after `must_stop` returns true. It is called often.
pub fn review<'a>(
    rules: &'static [&'static Rule],
    change: &Change<'a>,
    phase: Phase,
    policy: &Policy,
    must_stop: &'a dyn Fn() -> bool,
) -> Result<Report<'a>, Stopped> {
    let mut review = Review::new(rules, change, phase, policy, must_stop);
    if change.is_deletion() && !change.touches_anything() {
        return Ok(review.finish());
    }
    let foresees = review.foresees();
    let speaks = |rule: &Rule| {
        rule.phase == phase || (phase == Phase::Mutate && !rule.fix.is_empty()) || (foresees && rule.may_be_in_schema())
    };
    let is_on = |rule: &&&'static Rule| policy.effect(rule) != Effect::Off;
    for rule in rules.iter().filter(|rule| speaks(rule)).filter(is_on) {
        review.run(rule, policy).ok_or(Stopped)?;
    }
    if review.is_foreseen() {
        for rule in rules.iter().filter(|rule| !speaks(rule)).filter(is_on) {
            review.run(rule, policy).ok_or(Stopped)?;
        }
    }
    Ok(review.finish())
}
