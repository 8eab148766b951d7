//! What findings do.

use std::{collections::BTreeSet, fmt, ptr, str::FromStr, sync::Arc};

use crate::review::{CrdInForce, Rule};

/// What a finding does to the write, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing. A rule that is off does not run, and makes no fix.
    Off,
    /// Lets it pass with a warning.
    Warn,
    /// Refuses it.
    Deny,
}

impl Effect {
    /// One effect lower: a denial becomes a warning, a warning becomes silent.
    #[must_use]
    pub(super) fn lowered(self) -> Self {
        match self {
            Self::Deny => Self::Warn,
            Self::Warn | Self::Off => Self::Off,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Off => "off",
        })
    }
}

impl FromStr for Effect {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Deny, Self::Warn, Self::Off].into_iter().find(|effect| effect.to_string() == name).ok_or(())
    }
}

/// What an administrator configured for the rules.
///
/// By default nothing: every rule has its own effect, in every namespace.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    overrides: Vec<(&'static Rule, Effect)>,
    audit: bool,
    break_glass: bool,
    exempt_namespaces: BTreeSet<String>,
    crd: Option<Arc<CrdInForce>>,
}

impl Policy {
    /// Overrides the effect of all findings of `rule`; the last call for a rule counts.
    pub fn set(&mut self, rule: &'static Rule, effect: Effect) {
        self.overrides.retain(|(other, _)| !ptr::eq(*other, rule));
        self.overrides.push((rule, effect));
    }

    /// Turns audit on or off: every denial becomes a warning, for a safe first rollout.
    pub fn set_audit(&mut self, audit: bool) {
        self.audit = audit;
    }

    /// Sets the namespaces in which no rule runs.
    pub fn set_exempt_namespaces(&mut self, names: BTreeSet<String>) {
        self.exempt_namespaces = names;
    }

    /// Whether no rule runs in the namespace of that name.
    #[must_use]
    pub fn exempts(&self, namespace: &str) -> bool {
        self.exempt_namespaces.contains(namespace)
    }

    /// Whether every denial is a warning.
    #[must_use]
    pub fn audit(&self) -> bool {
        self.audit
    }

    /// Lets users with the right to do so set the denials of one write aside, or not.
    pub fn set_break_glass(&mut self, break_glass: bool) {
        self.break_glass = break_glass;
    }

    /// Whether users with the right to do so may set the denials of one write aside.
    #[must_use]
    pub fn break_glass(&self) -> bool {
        self.break_glass
    }

    /// Sets the CRD in force; without it, /mutate does not speak for /validate.
    pub fn set_crd(&mut self, crd: Option<Arc<CrdInForce>>) {
        self.crd = crd;
    }

    /// The CRD in force, where it is known.
    #[must_use]
    pub fn crd(&self) -> Option<&Arc<CrdInForce>> {
        self.crd.as_ref()
    }

    /// The effect of the rule: the override, or its own.
    #[must_use]
    pub fn effect(&self, rule: &'static Rule) -> Effect {
        self.overridden(rule).unwrap_or(rule.effect)
    }

    pub(super) fn overridden(&self, rule: &'static Rule) -> Option<Effect> {
        self.overrides.iter().find(|(other, _)| ptr::eq(*other, rule)).map(|(_, effect)| *effect)
    }
}
