//! Where rules put what they find.

use std::{borrow::Cow, fmt};

use serde::Serialize;

use self::foresight::Foresight;
use crate::{
    field_path::{FieldPath, Place},
    review::{Change, Effect, Phase, Policy, Problem, Rule, ratchet::Noted},
};

mod foresight;

/// One thing that is wrong with a write.
#[derive(Debug)]
pub struct Finding<'a> {
    /// The rule that is broken.
    pub rule: &'static Rule,
    /// What it does to the write.
    pub level: Level,
    /// The smallest wrong field.
    pub path: FieldPath<'a>,
    /// What is wrong with it.
    pub problem: Problem<'a>,
    /// Whether it would refuse the write, if that did not change the health of the cluster.
    pub passed_for_health: bool,
}

/// A value to fill in.
#[derive(Debug)]
pub struct Fix<'a> {
    /// The rule that asks for it.
    pub rule: &'static Rule,
    /// The absent field, or the boolean where a string belongs.
    pub path: FieldPath<'a>,
    /// Its value.
    pub value: Cow<'a, str>,
    /// What the author must learn, where the fix repairs a mistake.
    pub warning: Option<&'static str>,
}

/// What a finding does to the write that it is found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing: there to be overridden.
    Silent,
    /// Lets it pass with a warning.
    Warn,
    /// Refuses it.
    Deny,
}

/// Findings and fixes of a review, in catalogue order.
#[derive(Debug)]
pub struct Report<'a> {
    /// What is wrong.
    pub findings: Vec<Finding<'a>>,
    /// What is filled in.
    pub fixes: Vec<Fix<'a>>,
    /// Whether so much would have to be filled in that nothing is.
    pub too_many_fixes: bool,
    /// What is wrong, too.
    pub omitted: Omitted,
    /// The rules that a finding would deny the write by, if it did not bring news of the cluster's health.
    pub passed_for_health: Vec<&'static str>,
    /// Whether the object is being deleted.
    pub is_deletion: bool,
    rules: &'static [&'static Rule],
    change: Change<'a>,
    phase: Phase,
    audit: bool,
    current: Option<Current>,
    stored: Stored,
    watch: Watch<'a>,
    /// Of /mutate, what it says in place of /validate.
    foresight: Option<Foresight>,
}

/// What is known of the findings of the stored object.
#[derive(Debug)]
enum Stored {
    /// It is this object that is judged: its findings are noted, and silent.
    Noting(Noted),
    /// Of the rule that is running, nothing: the stored object is judged by it once the new one has a finding.
    Unknown,
    /// Those of the rule that is running.
    Known(Noted),
}

/// Says when a review is to stop, and whether it must.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    must_stop: &'a dyn Fn() -> bool,
    /// How often it was asked.
    asked: u32,
    stopped: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(must_stop: &'a dyn Fn() -> bool) -> Self {
        Self { must_stop, asked: 0, stopped: false }
    }

    /// Whether the review must stop; the clock is looked at once in a while, for that takes longer than most findings.
    fn is_over(&mut self) -> bool {
        /// A few microseconds' work, where each is a finding or a text that is searched.
        const ONCE_IN: u32 = 64;
        self.asked = self.asked.wrapping_add(1);
        self.stopped = self.stopped || (self.asked.is_multiple_of(ONCE_IN) && (self.must_stop)());
        self.stopped
    }
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

/// How many findings are past the most that are told.
///
/// Of each level that it counts, the most are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Omitted {
    /// Those that refuse the write.
    pub denials: usize,
    /// Those that let it pass with a warning.
    pub warnings: usize,
}

#[derive(Debug)]
struct Current {
    rule: &'static Rule,
    /// The level of all its findings, where that is overridden.
    level: Option<Level>,
    denials: usize,
    warnings: usize,
}

/// Most findings that are told of one rule and level.
///
/// kubectl prints each denial on a line of its own, and the API server passes on some fifty warnings: nobody reads the
/// hundredth of a kind. By rule, so that none is hidden behind the flood of another; by level, so that no denial is behind
/// warnings. More than the 64 providers that upstream's v1alpha2 lets a profile have.
const FINDINGS: usize = 100;

/// Most fixes that one review makes: more than the conditions of any cluster lack, and a patch of a few dozen kilobytes. Past
/// that there are none, for a half of them would help nobody.
pub(crate) const FIXES: usize = 500;

impl Current {
    fn of(rule: &'static Rule) -> Self {
        Self { rule, level: None, denials: 0, warnings: 0 }
    }
}

impl<'a> Report<'a> {
    pub(super) fn new(
        rules: &'static [&'static Rule],
        change: &Change<'a>,
        phase: Phase,
        policy: &Policy,
        watch: Watch<'a>,
    ) -> Self {
        let foresight = if phase == Phase::Mutate { Foresight::of(change, policy) } else { None };
        Self {
            findings: Vec::new(),
            fixes: Vec::new(),
            too_many_fixes: false,
            omitted: Omitted::default(),
            passed_for_health: Vec::new(),
            is_deletion: change.is_deletion(),
            rules,
            change: *change,
            phase,
            audit: policy.audit(),
            current: None,
            stored: Stored::Unknown,
            watch,
            foresight,
        }
    }

    /// Runs `rule`; nothing where the review must stop.
    pub(super) fn run(&mut self, rule: &'static Rule, policy: &Policy) -> Option<()> {
        let level = policy.overridden(rule).map(|effect| match effect {
            Effect::Deny => Level::Deny,
            Effect::Warn => Level::Warn,
            Effect::Off => Level::Silent,
        });
        self.current = Some(Current { level, ..Current::of(rule) });
        self.stored = Stored::Unknown;
        let change = self.change;
        (rule.check)(&change, self);
        (!self.watch.stopped).then_some(())
    }

    /// Whether the review must stop; to be asked by a rule between steps that take long.
    pub(crate) fn is_over(&mut self) -> bool {
        self.watch.is_over()
    }

    /// Reports what refuses the write.
    pub fn deny(&mut self, place: impl Place<'a>, problem: Problem<'a>) {
        self.add(Level::Deny, place, problem);
    }

    /// Reports what the author must be warned about.
    pub fn warn(&mut self, place: impl Place<'a>, problem: Problem<'a>) {
        self.add(Level::Warn, place, problem);
    }

    /// Reports at a level that depends on the change.
    pub fn add(&mut self, level: Level, place: impl Place<'a>, problem: Problem<'a>) {
        let Some(Current { rule, level: overriding, .. }) = self.current else { return };
        let is_foreseen = rule.phase != self.phase;
        let is_heard = !is_foreseen || self.foresees() || matches!(self.stored, Stored::Noting(_));
        if !is_heard || self.watch.is_over() {
            return;
        }
        if let Stored::Noting(noted) = &mut self.stored {
            return noted.add(&place.path(), &problem);
        }
        let most = if self.audit { Level::Warn } else { Level::Deny };
        let may_be_stored = self.may_be_stored(rule);
        // Of thousands of findings nearly all are only counted, and making a path takes longer than all else.
        if !is_foreseen && !may_be_stored && self.is_only_counted(overriding.unwrap_or(level).min(most)) {
            return;
        }
        let path = place.path();
        if is_foreseen && self.foresight.as_ref().is_some_and(|foresight| !foresight.is_written(&path)) {
            return;
        }
        let level = overriding.unwrap_or(level);
        let is_stored = level != Level::Silent && may_be_stored && self.has_stored(&path, &problem);
        let (weighed, passed_for_health) =
            if is_stored { (level.lowered(), false) } else { self.give_way(rule, level) };
        let level = weighed.min(most);
        let Some(current) = &mut self.current else { return };
        let (told, omitted) = match level {
            Level::Silent => return,
            // All that /mutate says is a warning.
            _ if is_foreseen => (&mut current.warnings, &mut self.omitted.warnings),
            Level::Warn => (&mut current.warnings, &mut self.omitted.warnings),
            Level::Deny => (&mut current.denials, &mut self.omitted.denials),
        };
        let is_omitted = *told == FINDINGS;
        if let Some(foresight) = self.foresight.as_mut().filter(|_| is_foreseen) {
            foresight.tell(&self.change, &path, &problem, is_stored, is_omitted);
        }
        if is_omitted {
            *omitted += 1;
        } else {
            *told += 1;
            let level = if is_foreseen { Level::Warn } else { level };
            self.findings.push(Finding { rule, level, path, problem, passed_for_health });
        }
    }

    /// The level that is left of a finding where it must not hold up the health of the cluster, and whether it is one less.
    fn give_way(&mut self, rule: &'static Rule, level: Level) -> (Level, bool) {
        let passes = level == Level::Deny && self.change.changes_health() && rule.yields_to_health;
        if !passes {
            return (level, false);
        }
        if self.passed_for_health.last() != Some(&rule.name) {
            self.passed_for_health.push(rule.name);
        }
        (Level::Warn, true)
    }

    /// Counts a finding of that level, if it is past the most that are told and the level is what is left of it.
    fn is_only_counted(&mut self, level: Level) -> bool {
        let Some(current) = self.current.as_ref().filter(|_| !self.change.changes_health()) else { return false };
        let (told, omitted) = match level {
            Level::Silent => return true,
            Level::Warn => (current.warnings, &mut self.omitted.warnings),
            Level::Deny => (current.denials, &mut self.omitted.denials),
        };
        if told == FINDINGS {
            *omitted += 1;
        }
        told == FINDINGS
    }

    /// Whether the stored object has any finding of the rule. It is judged when a rule first asks, by that rule alone: most
    /// writes find nothing.
    fn may_be_stored(&mut self, rule: &'static Rule) -> bool {
        if let Stored::Unknown = self.stored {
            let noted = self.change.stored().map(|change| self.noted(rule, change)).unwrap_or_default();
            self.stored = Stored::Known(noted);
        }
        matches!(&self.stored, Stored::Known(noted) if !noted.is_empty())
    }

    /// Whether the stored object has the finding.
    fn has_stored(&mut self, path: &FieldPath<'_>, problem: &Problem<'_>) -> bool {
        match &mut self.stored {
            Stored::Known(noted) => noted.take(path, problem),
            Stored::Noting(_) | Stored::Unknown => false,
        }
    }

    /// What the rule finds in the stored object.
    fn noted(&mut self, rule: &'static Rule, change: Change<'a>) -> Noted {
        let mut report = Report {
            findings: Vec::new(),
            fixes: Vec::new(),
            passed_for_health: Vec::new(),
            change,
            current: self.current.as_ref().map(|current| Current { level: current.level, ..Current::of(rule) }),
            stored: Stored::Noting(Noted::default()),
            foresight: None,
            ..*self
        };
        (rule.check)(&change, &mut report);
        self.watch = report.watch;
        match report.stored {
            Stored::Noting(noted) => noted.in_order(),
            Stored::Unknown | Stored::Known(_) => Noted::default(),
        }
    }

    /// Whether a finding of that level is told although the stored object has it already.
    pub(crate) fn tells_stored(&self, level: Level) -> bool {
        let overriding = self.current.as_ref().and_then(|current| current.level);
        overriding.unwrap_or(level).lowered() > Level::Silent
    }

    /// Fills in an absent field.
    pub fn fix(&mut self, place: impl Place<'a>, value: impl Into<Cow<'a, str>>, warning: Option<&'static str>) {
        let Some(Current { rule, .. }) = self.current else { return };
        if self.phase != Phase::Mutate
            || self.is_deletion
            || self.too_many_fixes
            || matches!(self.stored, Stored::Noting(_))
        {
            return;
        }
        if self.fixes.len() == FIXES {
            self.fixes.clear();
            self.too_many_fixes = true;
            return;
        }
        let path = place.path();
        self.take_back(&path);
        self.fixes.push(Fix { rule, path, value: value.into(), warning });
    }

    /// Lets the write pass: what refuses it becomes a warning. Tells the rules whose findings did, in catalogue order.
    pub(crate) fn set_aside(&mut self) -> Vec<&'static str> {
        let mut rules = Vec::new();
        for finding in self.findings.iter_mut().filter(|finding| finding.level == Level::Deny) {
            finding.level = Level::Warn;
            rules.push(finding.rule.name);
        }
        rules.dedup();
        self.omitted.warnings += std::mem::take(&mut self.omitted.denials);
        rules
    }

    /// Whether the write is refused.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.findings.iter().any(|finding| finding.level == Level::Deny)
    }
}

impl Level {
    /// What is left of it where the stored object has the finding already.
    #[must_use]
    pub(crate) fn lowered(self) -> Self {
        match self {
            Self::Deny => Self::Warn,
            Self::Warn | Self::Silent => Self::Silent,
        }
    }
}

/// The text of a cause: the problem, and the rule to type after `explain`.
impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let health = if self.passed_for_health { "; passed, for the health of the cluster changes" } else { "" };
        write!(f, "{}{health} [{}]", self.problem, self.rule.name)
    }
}
