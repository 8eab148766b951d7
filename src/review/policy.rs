//! What findings do.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use crate::review::{CrdInForce, Rule};

/// What the findings of a rule do to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Refuse it.
    Deny,
    /// Let it pass with a warning.
    Warn,
    /// Nothing: the rule does not run, nor does its fix.
    Off,
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

/// What an administrator chose for the rules: their effects, and where none is asked.
///
/// By default nothing: the catalogue's own effects hold everywhere.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    overrides: Vec<(&'static str, Effect)>,
    audit: bool,
    break_glass: bool,
    exempt_namespaces: BTreeSet<String>,
    crd: Option<Arc<CrdInForce>>,
}

impl Policy {
    /// Gives all findings of `rule` this effect; the last call for a rule holds.
    pub fn set(&mut self, rule: &'static Rule, effect: Effect) {
        self.overrides.retain(|(name, _)| *name != rule.name);
        self.overrides.push((rule.name, effect));
    }

    /// Whether every refusal is to be a warning: the safe first rollout.
    pub fn set_audit(&mut self, audit: bool) {
        self.audit = audit;
    }

    /// The namespaces in which no rule is asked.
    pub fn set_exempt_namespaces(&mut self, names: BTreeSet<String>) {
        self.exempt_namespaces = names;
    }

    /// Whether no rule is asked in the namespace of that name.
    #[must_use]
    pub fn exempts(&self, namespace: &str) -> bool {
        self.exempt_namespaces.contains(namespace)
    }

    /// Whether every refusal is a warning.
    #[must_use]
    pub fn audit(&self) -> bool {
        self.audit
    }

    /// Whether a refusal may be set aside for one write by a user who has that right.
    pub fn set_break_glass(&mut self, break_glass: bool) {
        self.break_glass = break_glass;
    }

    /// Whether a refusal may be set aside.
    #[must_use]
    pub fn break_glass(&self) -> bool {
        self.break_glass
    }

    /// What the API server refuses by the CRD, where that is known; without it, /mutate does not speak for /validate.
    pub fn set_crd(&mut self, crd: Option<Arc<CrdInForce>>) {
        self.crd = crd;
    }

    /// What the API server refuses by the CRD, where that is known.
    #[must_use]
    pub fn crd(&self) -> Option<&Arc<CrdInForce>> {
        self.crd.as_ref()
    }

    /// What the findings of `rule` do, before the ratchet.
    #[must_use]
    pub fn effect(&self, rule: &'static Rule) -> Effect {
        self.overridden(rule).unwrap_or(rule.effect)
    }

    pub(super) fn overridden(&self, rule: &'static Rule) -> Option<Effect> {
        self.overrides.iter().find(|(name, _)| *name == rule.name).map(|(_, effect)| *effect)
    }
}
