//! A review in progress, and where its rules put what they find.

use std::{borrow::Cow, fmt};

use self::foresight::Foresight;
use crate::{
    field_path::{FieldPath, Place},
    review::{
        Change, Downgrade, Effect, Finding, Fix, Omitted, Phase, Policy, Problem, Report, Rule, ratchet::StoredFindings,
    },
};

mod foresight;

/// A review in progress: what it judges, and the report that it fills in.
pub(super) struct Review<'a> {
    rules: &'static [&'static Rule],
    change: Change<'a>,
    phase: Phase,
    audit: bool,
    watch: Watch<'a>,
    /// On /mutate, what it says in place of /validate.
    foresight: Option<Foresight>,
    report: Report<'a>,
}

/// Where one rule reports what it finds.
///
/// Made for each run of a rule. It weighs each finding: by the override of the rule, then by the lower of the ratchet and
/// health first, then by audit. What is left goes to the report of the review. The ratchet needs what the rule finds in the
/// stored object, so the rule runs on that as well, once the new object has a finding; that run's reporter takes notes only.
pub struct Reporter<'r, 'a> {
    review: &'r mut Review<'a>,
    rule: &'static Rule,
    /// The effect of all its findings, where that is overridden.
    overriding: Option<Effect>,
    denials: usize,
    warnings: usize,
    stored: Stored,
}

/// What is known of the rule's findings in the stored object.
enum Stored {
    /// This run is on the stored object: its findings are noted, and silent.
    Noting(StoredFindings),
    /// Nothing so far.
    Unknown,
    Known(StoredFindings),
}

/// Says when a review must stop.
#[derive(Clone, Copy)]
struct Watch<'a> {
    must_stop: &'a dyn Fn() -> bool,
    /// How often it was asked.
    asked: u32,
    stopped: bool,
}

impl Watch<'_> {
    /// Whether the review must stop. It reads the clock only once in a while, which takes longer than most findings.
    fn is_over(&mut self) -> bool {
        /// A few microseconds' work, where each is a finding or a text that is searched.
        const ONCE_IN: u32 = 64;
        self.asked = self.asked.wrapping_add(1);
        self.stopped = self.stopped || (self.asked.is_multiple_of(ONCE_IN) && (self.must_stop)());
        self.stopped
    }
}

/// Maximum findings of one rule and effect in a report; further ones are counted.
///
/// kubectl prints each denial on a line of its own, and the API server passes on some fifty warnings, so the hundredth of a kind
/// is not read. By rule, so that no flood of one hides another; by effect, so that warnings hide no denial. More than the 64
/// providers that upstream's v1alpha2 lets a profile have.
const FINDINGS: usize = 100;

/// Maximum fixes of one review: more than the conditions of any cluster lack, and a patch of a few dozen kilobytes. Past that
/// none is made, because a part of them would not make the object valid.
pub(crate) const FIXES: usize = 500;

impl<'a> Review<'a> {
    pub(super) fn new(
        rules: &'static [&'static Rule],
        change: &Change<'a>,
        phase: Phase,
        policy: &Policy,
        must_stop: &'a dyn Fn() -> bool,
    ) -> Self {
        let foresight = if phase == Phase::Mutate { Foresight::of(change, policy) } else { None };
        let report = Report {
            findings: Vec::new(),
            fixes: Vec::new(),
            too_many_fixes: false,
            omitted: Omitted::default(),
            passed_for_health: Vec::new(),
            is_deletion: change.is_deletion(),
        };
        let watch = Watch { must_stop, asked: 0, stopped: false };
        Self { rules, change: *change, phase, audit: policy.audit(), watch, foresight, report }
    }

    /// Runs `rule`; none where the review must stop.
    pub(super) fn run(&mut self, rule: &'static Rule, policy: &Policy) -> Option<()> {
        let change = self.change;
        let overriding = policy.overridden(rule);
        let mut reporter =
            Reporter { review: self, rule, overriding, denials: 0, warnings: 0, stored: Stored::Unknown };
        (rule.check)(&change, &mut reporter);
        (!self.watch.stopped).then_some(())
    }
}

impl<'a> Reporter<'_, 'a> {
    /// Reports a problem with the rule's own effect.
    pub fn report(&mut self, place: impl Place<'a>, problem: Problem<'a>) {
        self.report_as(self.rule.effect, place, problem);
    }

    /// Reports a problem with another effect than the rule's own: an exception that the rule's record names.
    pub fn report_as(&mut self, own: Effect, place: impl Place<'a>, problem: Problem<'a>) {
        let rule = self.rule;
        let is_foreseen = rule.phase != self.review.phase;
        let is_heard = !is_foreseen || self.review.foresees() || matches!(self.stored, Stored::Noting(_));
        if !is_heard || self.review.watch.is_over() {
            return;
        }
        if let Stored::Noting(findings) = &mut self.stored {
            return findings.add(&place.path(), &problem);
        }
        let effect = self.overriding.unwrap_or(own);
        let may_be_stored = self.may_be_stored();
        // Of thousands of findings nearly all are only counted, and making a path takes longer than all else.
        if !is_foreseen && !may_be_stored && self.is_only_counted(effect.min(self.highest())) {
            return;
        }
        let path = place.path();
        if is_foreseen && self.review.foresight.as_ref().is_some_and(|foresight| !foresight.is_written(&path)) {
            return;
        }
        let is_stored = effect != Effect::Off && may_be_stored && self.has_stored(&path, &problem);
        let is_denial = effect == Effect::Deny && !self.review.audit;
        let (effect, downgrade) = self.weigh(effect, is_stored);
        let omitted = &mut self.review.report.omitted;
        let (count, omitted) = match effect {
            Effect::Off => return,
            Effect::Warn => (&mut self.warnings, &mut omitted.warnings),
            Effect::Deny => (&mut self.denials, &mut omitted.denials),
        };
        let is_omitted = *count == FINDINGS;
        if let Some(foresight) = self.review.foresight.as_mut().filter(|_| is_foreseen) {
            foresight.note(&self.review.change, &path, &problem, is_stored, is_omitted);
        }
        if is_omitted {
            *omitted += 1;
        } else {
            *count += 1;
            // The API server's refusal depends on neither override, ratchet nor audit.
            let denies = is_denial && downgrade.is_none();
            let is_refusal = denies || own != Effect::Warn;
            let foreseen = || is_refusal.then_some(Downgrade::Foreseen { denies });
            let downgrade = if is_foreseen { foreseen() } else { downgrade };
            self.review.report.findings.push(Finding { rule, effect, path, problem, downgrade });
        }
    }

    /// The strongest effect that a finding may have in this review. /mutate never denies.
    fn highest(&self) -> Effect {
        if self.review.audit || self.review.phase == Phase::Mutate { Effect::Warn } else { Effect::Deny }
    }

    /// The effect that is left of a finding, and why it is no denial any more.
    fn weigh(&mut self, effect: Effect, is_stored: bool) -> (Effect, Option<Downgrade>) {
        if is_stored {
            return (effect.lowered(), (effect == Effect::Deny).then_some(Downgrade::Stored));
        }
        if effect == Effect::Deny && self.rule.yields_to_health && self.review.change.changes_health() {
            let passed = &mut self.review.report.passed_for_health;
            if passed.last() != Some(&self.rule.name) {
                passed.push(self.rule.name);
            }
            return (Effect::Warn, Some(Downgrade::Health));
        }
        let highest = self.highest();
        if effect > highest {
            return (highest, (self.review.phase == Phase::Validate).then_some(Downgrade::Audit));
        }
        (effect, None)
    }

    /// Counts a finding of that effect, if it is past the limit and the effect is what is left of it.
    fn is_only_counted(&mut self, effect: Effect) -> bool {
        if self.review.change.changes_health() {
            return false;
        }
        let omitted = &mut self.review.report.omitted;
        let (count, omitted) = match effect {
            Effect::Off => return true,
            Effect::Warn => (self.warnings, &mut omitted.warnings),
            Effect::Deny => (self.denials, &mut omitted.denials),
        };
        if count == FINDINGS {
            *omitted += 1;
        }
        count == FINDINGS
    }

    /// Whether the stored object has any finding of the rule. The rule runs on it at the first call only: most writes have no
    /// finding.
    fn may_be_stored(&mut self) -> bool {
        if let Stored::Unknown = self.stored {
            self.stored = Stored::Known(self.in_stored().unwrap_or_default());
        }
        matches!(&self.stored, Stored::Known(findings) if !findings.is_empty())
    }

    /// Whether the stored object has the finding.
    fn has_stored(&mut self, path: &FieldPath<'_>, problem: &Problem<'_>) -> bool {
        match &mut self.stored {
            Stored::Known(findings) => findings.take(path, problem),
            Stored::Noting(_) | Stored::Unknown => false,
        }
    }

    /// What the rule finds in the stored object.
    fn in_stored(&mut self) -> Option<StoredFindings> {
        let change = self.review.change.stored()?;
        let Self { review, rule, overriding, .. } = self;
        let stored = Stored::Noting(StoredFindings::default());
        let mut noting = Reporter { review, rule, overriding: *overriding, denials: 0, warnings: 0, stored };
        (rule.check)(&change, &mut noting);
        match noting.stored {
            Stored::Noting(findings) => Some(findings.in_order()),
            Stored::Unknown | Stored::Known(_) => None,
        }
    }

    /// Whether the review must stop; a rule asks between steps that take long.
    pub(crate) fn is_over(&mut self) -> bool {
        self.review.watch.is_over()
    }

    /// Whether a finding of that effect is reported although the stored object has it already.
    pub(crate) fn reports_stored(&self, own: Effect) -> bool {
        self.overriding.unwrap_or(own).lowered() > Effect::Off
    }

    /// Fills in an absent field.
    pub fn fix(&mut self, place: impl Place<'a>, value: impl Into<Cow<'a, str>>, warning: Option<Cow<'a, str>>) {
        let Review { phase, report, .. } = &mut *self.review;
        if *phase != Phase::Mutate
            || report.is_deletion
            || report.too_many_fixes
            || matches!(self.stored, Stored::Noting(_))
        {
            return;
        }
        if report.fixes.len() == FIXES {
            report.fixes.clear();
            report.too_many_fixes = true;
            return;
        }
        let path = place.path();
        self.take_back(&path);
        self.review.report.fixes.push(Fix { rule: self.rule, path, value: value.into(), warning });
    }
}

impl fmt::Debug for Reporter<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("rule", &self.rule.name).finish_non_exhaustive()
    }
}
