//! Where rules put what they find.

use std::{borrow::Cow, fmt};

use serde::Serialize;

use super::{Effect, Phase, Policy, Problem, Rule, ratchet::Ratchet};
use crate::field::FieldPath;

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
#[derive(Debug, Default)]
pub struct Report<'a> {
    /// What is wrong.
    pub findings: Vec<Finding<'a>>,
    /// What is filled in.
    pub fixes: Vec<Fix<'a>>,
    /// What is wrong, too.
    pub omitted: Omitted,
    pub(super) ratchet: Ratchet,
    current: Option<Current>,
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
    phase: Phase,
    /// The level of all its findings, where that is overridden.
    level: Option<Level>,
    /// The highest level, whatever is found.
    most: Level,
    denials: usize,
    warnings: usize,
}

/// Most findings that are told of one rule and level.
///
/// kubectl prints each denial on a line of its own, and the API server passes on some fifty warnings: nobody reads the
/// hundredth of a kind. By rule, so that none is hidden behind the flood of another; by level, so that no denial is behind
/// warnings. More than the 64 providers that upstream's v1alpha2 lets a profile have.
const FINDINGS: usize = 100;

/// Most fixes that one review makes: past what anybody fills in, and a patch of a megabyte.
const FIXES: usize = 10_000;

impl<'a> Report<'a> {
    pub(super) fn under(ratchet: Ratchet) -> Self {
        Self { ratchet, ..Self::default() }
    }

    /// What follows is found by `rule`.
    pub(super) fn begin(&mut self, rule: &'static Rule, phase: Phase, policy: &Policy) {
        let level = policy.overridden(rule).map(|effect| match effect {
            Effect::Deny => Level::Deny,
            Effect::Warn => Level::Warn,
            Effect::Off => Level::Silent,
        });
        let most = if policy.audit() { Level::Warn } else { Level::Deny };
        self.current = Some(Current { rule, phase, level, most, denials: 0, warnings: 0 });
    }

    /// Reports what refuses the write.
    pub fn deny(&mut self, path: FieldPath<'a>, problem: Problem<'a>) {
        self.add(Level::Deny, path, problem);
    }

    /// Reports what the author must be warned about.
    pub fn warn(&mut self, path: FieldPath<'a>, problem: Problem<'a>) {
        self.add(Level::Warn, path, problem);
    }

    /// Reports at a level that depends on the change.
    pub fn add(&mut self, level: Level, path: FieldPath<'a>, problem: Problem<'a>) {
        let Some(Current { rule, phase, level: overriding, most, denials, warnings }) = &mut self.current else {
            return;
        };
        if rule.phase != *phase {
            return;
        }
        let level = self.ratchet.weigh(rule, overriding.unwrap_or(level), &path, &problem).min(*most);
        let (told, omitted) = match level {
            Level::Silent => return,
            Level::Warn => (warnings, &mut self.omitted.warnings),
            Level::Deny => (denials, &mut self.omitted.denials),
        };
        if *told < FINDINGS {
            *told += 1;
            self.findings.push(Finding { rule, level, path, problem });
        } else {
            *omitted += 1;
        }
    }

    /// Whether a finding of that level is told although the stored object has it already.
    pub(super) fn tells_stored(&self, level: Level) -> bool {
        let overriding = self.current.as_ref().and_then(|current| current.level);
        overriding.unwrap_or(level).lowered() > Level::Silent
    }

    /// Fills in an absent field.
    pub fn fix(&mut self, path: FieldPath<'a>, value: impl Into<Cow<'a, str>>, warning: Option<&'static str>) {
        let Some(Current { rule, phase: Phase::Mutate, .. }) = self.current else { return };
        if self.fixes.len() < FIXES {
            self.fixes.push(Fix { rule, path, value: value.into(), warning });
        }
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
    pub(super) fn lowered(self) -> Self {
        match self {
            Self::Deny => Self::Warn,
            Self::Warn | Self::Silent => Self::Silent,
        }
    }
}

/// The text of a cause: the problem, and the rule to type after `explain`.
impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.problem, self.rule.name)
    }
}
