//! What a review returns.

use std::{borrow::Cow, fmt};

use serde::Serialize;

use crate::{
    field_path::FieldPath,
    review::{Effect, Problem, Rule},
};

/// Findings and fixes of a review, in catalog order.
///
/// A [`Reporter`](super::Reporter) fills it in, rule by rule. Nothing in it is silent: what an override, the ratchet or audit
/// leaves no effect is not here.
#[derive(Debug)]
pub struct Report<'a> {
    /// What is wrong.
    pub findings: Vec<Finding<'a>>,
    /// What is filled in.
    pub fixes: Vec<Fix<'a>>,
    /// Whether more than the limit would have to be filled in, so that nothing is.
    pub too_many_fixes: bool,
    /// How many findings are only counted.
    pub omitted: Omitted,
    /// The rules with a finding that only warns because the write changes the cluster's health.
    pub passed_for_health: Vec<&'static str>,
    /// Whether the object is being deleted.
    pub is_deletion: bool,
}

/// One thing that is wrong with a write.
#[derive(Debug)]
pub struct Finding<'a> {
    /// The rule that is broken.
    pub rule: &'static Rule,
    /// What it does to the write: `Deny` or `Warn`.
    pub effect: Effect,
    /// The smallest wrong field.
    pub path: FieldPath<'a>,
    /// What is wrong with it.
    pub problem: Problem<'a>,
    /// Why it only warns, where it would refuse the write otherwise.
    pub downgrade: Option<Downgrade>,
}

/// Why a finding only warns that would refuse the write otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downgrade {
    /// The stored object has it already.
    Stored,
    /// The write changes the health of the cluster.
    Health,
    /// Audit is on.
    Audit,
    /// Break-glass sets its rule aside.
    BreakGlass,
    /// `/mutate` says what `/validate` cannot, because the API server refuses the write by the CRD in force first.
    Foreseen {
        /// Whether `/validate` would deny the write for it. If not, the CRD may still refuse it.
        denies: bool,
    },
}

/// A value to fill in.
#[derive(Debug)]
pub struct Fix<'a> {
    /// The rule that requires it.
    pub rule: &'static Rule,
    /// The absent field, or the boolean where a string belongs.
    pub path: FieldPath<'a>,
    /// Its value.
    pub value: Cow<'a, str>,
    /// What was done and what to do, where the fix repairs a mistake.
    pub warning: Option<Cow<'a, str>>,
}

/// How many findings are past the limits of a report: so many of each effect are only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Omitted {
    /// Those that refuse the write.
    pub denials: usize,
    /// Those that let it pass with a warning.
    pub warnings: usize,
}

impl Report<'_> {
    /// Lets the write pass: every denial becomes a warning. Returns the rules whose findings did, in catalog order.
    pub(crate) fn set_aside(&mut self) -> Vec<&'static str> {
        let mut rules = Vec::new();
        for finding in self.findings.iter_mut().filter(|finding| finding.effect == Effect::Deny) {
            finding.effect = Effect::Warn;
            finding.downgrade = Some(Downgrade::BreakGlass);
            rules.push(finding.rule.name);
        }
        rules.dedup();
        self.omitted.warnings += std::mem::take(&mut self.omitted.denials);
        rules
    }

    /// Whether the write is refused.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.findings.iter().any(|finding| finding.effect == Effect::Deny)
    }
}

impl Downgrade {
    /// What a warning says of it.
    fn note(self) -> &'static str {
        match self {
            Self::Stored => "; already stored, so it does not block the write",
            Self::Health => "; does not block the write, which changes the cluster's health",
            Self::Audit => "; audit: would be denied",
            Self::BreakGlass => "; set aside by break-glass",
            Self::Foreseen { denies: true } => "; also blocks the write",
            Self::Foreseen { denies: false } => "",
        }
    }
}

/// The text of a cause or a warning: the problem, and the rule to type after `explain`.
///
/// A denial has the form of the API machinery (`Invalid value: "x": must …`). A warning has none of its reasons: what passes is
/// neither invalid nor forbidden.
impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.rule.name;
        let note = self.downgrade.map_or("", Downgrade::note);
        if self.effect == Effect::Deny || matches!(self.downgrade, Some(Downgrade::Foreseen { .. })) {
            return write!(f, "{}{note} [{name}]", self.problem);
        }
        write!(f, "{}{note} [{name}]", self.problem.as_warning())
    }
}
