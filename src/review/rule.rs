//! What a rule is.

use std::fmt;

use super::{Change, Effect, Reporter};

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
    /// When the effect is another: for some findings or API versions. Empty where it is always the same.
    pub exceptions: &'static str,
    /// What /mutate fills in. Empty where it fills in nothing.
    pub fix: &'static str,
    /// The phase whose answer carries the findings.
    pub phase: Phase,
    /// Whether its findings only warn in a write that changes the health of the cluster.
    ///
    /// Managers send health, properties, version and access in one write. If one invalid entry that a member cluster reports
    /// were refused, consumers would not learn that the cluster is lost. Rules about where credentials go never yield.
    pub yields_to_health: bool,
    /// Whether it may find something in any text, which no schema can refuse.
    pub is_about_any_text: bool,
    /// The release that introduced the rule.
    pub since: &'static str,
    /// The page in Markdown: why consumers need the rule, one *Rejected* and one *Accepted* example.
    pub docs: &'static str,
    /// Reports what is wrong with the change.
    pub check: for<'a> fn(&Change<'a>, &mut Reporter<'_, 'a>),
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
    /// Its name in the webhook's path, logs and metrics.
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
    /// The fields that most rules have in common; a record completes them with `..Rule::VALIDATING`.
    pub const VALIDATING: Self = Self {
        name: "",
        summary: "",
        source: "",
        effect: Effect::Deny,
        exceptions: "",
        fix: "",
        phase: Phase::Validate,
        yields_to_health: false,
        is_about_any_text: false,
        since: "",
        docs: "",
        check: |_, _| {},
    };

    /// Whether a schema could refuse what some of its findings are about. What always only warns is in no schema.
    pub(super) fn may_be_in_schema(&self) -> bool {
        let only_warns = self.effect == Effect::Warn && self.exceptions.is_empty();
        !only_warns && !self.is_about_any_text
    }
}
