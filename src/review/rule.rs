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
    /// Where the effect is another one: by kind of finding or by API version. Empty where it never is.
    pub exceptions: &'static str,
    /// What is filled in on /mutate. Empty where nothing is.
    pub fix: &'static str,
    /// The phase whose answer carries the findings.
    pub phase: Phase,
    /// Whether its findings give way where a write changes the health of the cluster.
    ///
    /// Managers send health, properties, version and access in one write, so that to refuse one bad entry, which a member
    /// reports, would hide that its cluster is lost. What says where credentials go does not give way.
    pub yields_to_health: bool,
    /// Whether its findings may be in any text, so that no schema could say the same.
    pub is_about_any_text: bool,
    /// The release that brought the rule.
    pub since: &'static str,
    /// Markdown: why a consumer is hurt, one *Rejected* and one *Accepted* example.
    pub docs: &'static str,
    /// Reports what the change does wrong.
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
    /// What nearly every rule has in common: to be completed by a record.
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

    /// Whether a schema could say the same as some of its findings; none says what is only ever warned about.
    pub(super) fn may_be_in_schema(&self) -> bool {
        let only_warns = self.effect == Effect::Warn && self.exceptions.is_empty();
        !only_warns && !self.is_about_any_text
    }
}
