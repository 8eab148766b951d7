//! Where rules put what they find.

use std::{borrow::Cow, fmt};

use super::{Effect, Phase, Problem, Rule};
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
    /// Findings past the most that are told, and the highest level among them.
    pub omitted: Option<(usize, Level)>,
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    rule: &'static Rule,
    phase: Phase,
    level: Option<Level>,
}

/// Most findings, and most fixes, that one review tells.
///
/// A body of a few bytes per item could otherwise be answered with gigabytes. Nobody reads the ten thousandth.
const LIMIT: usize = 10_000;

impl<'a> Report<'a> {
    /// What follows is found by `rule`, and has its overriding effect where there is one.
    pub(super) fn begin(&mut self, rule: &'static Rule, phase: Phase, effect: Option<Effect>) {
        let level = effect.map(|effect| match effect {
            Effect::Deny => Level::Deny,
            Effect::Warn => Level::Warn,
            Effect::Off => Level::Silent,
        });
        self.current = Some(Current { rule, phase, level });
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
        let Some(Current { rule, phase, level: overriding }) = self.current else { return };
        if rule.phase != phase {
            return;
        }
        let level = overriding.unwrap_or(level);
        if self.findings.len() < LIMIT {
            self.findings.push(Finding { rule, level, path, problem });
        } else {
            let (count, highest) = self.omitted.unwrap_or((0, Level::Silent));
            self.omitted = Some((count + 1, highest.max(level)));
        }
    }

    /// Fills in an absent field.
    pub fn fix(&mut self, path: FieldPath<'a>, value: impl Into<Cow<'a, str>>, warning: Option<&'static str>) {
        let Some(Current { rule, phase: Phase::Mutate, .. }) = self.current else { return };
        if self.fixes.len() < LIMIT {
            self.fixes.push(Fix { rule, path, value: value.into(), warning });
        }
    }

    /// Whether the write is refused.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.levels().any(|level| level == Level::Deny)
    }

    /// Whether anything is denied or warned about.
    pub(super) fn is_loud(&self) -> bool {
        self.levels().any(|level| level > Level::Silent)
    }

    /// Lowers every higher level to `most`.
    pub(super) fn cap(&mut self, most: Level) {
        for finding in &mut self.findings {
            finding.level = finding.level.min(most);
        }
        if let Some((_, level)) = &mut self.omitted {
            *level = (*level).min(most);
        }
    }

    pub(super) fn drop_silent(&mut self) {
        self.findings.retain(|finding| finding.level > Level::Silent);
        self.omitted = self.omitted.filter(|(_, level)| *level > Level::Silent);
    }

    fn levels(&self) -> impl Iterator<Item = Level> {
        self.findings.iter().map(|finding| finding.level).chain(self.omitted.map(|(_, level)| level))
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
