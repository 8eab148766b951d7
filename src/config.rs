//! The settings of an administrator, and the format of the configuration file.
//!
//! Pure: parses bytes into settings, or returns all mistakes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use self::{
    keys::read,
    node::{Node, Position},
};
pub use self::{
    keys::{KEYS, Key},
    limits::Limits,
    schema::schema,
};
use crate::{
    review::{Effect, Policy},
    rules::RULES,
};

mod keys;
mod limits;
mod node;
mod schema;
#[cfg(test)]
mod tests;

/// The settings of an administrator. What is not set has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Effects by the name of the rule.
    pub effects: BTreeMap<&'static str, Effect>,
    /// Whether rules only warn where they would deny.
    pub audit: Option<bool>,
    /// Namespaces in which no rule runs, each a DNS-1123 label.
    pub exempt_namespaces: BTreeSet<String>,
    /// Maximum bytes of a request body, at least 1.
    pub max_body: Option<usize>,
    /// Maximum bytes of all request bodies, at least 1.
    pub max_in_flight: Option<usize>,
    /// Maximum requests waiting for body memory.
    pub max_queue: Option<u32>,
    /// Maximum open connections, at least 1.
    pub max_connections: Option<u32>,
}

/// A mistake in the file, with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    position: Position,
    text: String,
}

impl fmt::Display for Mistake {
    /// The position, if it is known, and what is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        if line > 0 {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl Settings {
    /// Parses the content of a configuration file: YAML or JSON, in UTF-8. An empty file sets nothing.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order of the file. If it is not valid YAML, only the first.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<Mistake>> {
        let mut settings = Self::default();
        let mut mistakes = Vec::new();
        read(&Node::parse(text).map_err(|mistake| vec![mistake])?, &mut settings, &mut mistakes);
        if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
    }

    /// These settings, with those of `others` for what these do not set.
    #[must_use]
    pub fn or(mut self, others: &Self) -> Self {
        for (rule, effect) in &others.effects {
            self.effects.entry(rule).or_insert(*effect);
        }
        if self.exempt_namespaces.is_empty() {
            self.exempt_namespaces.clone_from(&others.exempt_namespaces);
        }
        Self {
            audit: self.audit.or(others.audit),
            max_body: self.max_body.or(others.max_body),
            max_in_flight: self.max_in_flight.or(others.max_in_flight),
            max_queue: self.max_queue.or(others.max_queue),
            max_connections: self.max_connections.or(others.max_connections),
            ..self
        }
    }

    /// The policy of the rules.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        for rule in RULES {
            if let Some(effect) = self.effects.get(rule.name) {
                policy.set(rule, *effect);
            }
        }
        policy.set_audit(self.audit.unwrap_or_default());
        policy.set_exempt_namespaces(self.exempt_namespaces.clone());
        policy
    }

    /// The differences to `next`, sorted by key, as in `limits.maxQueue: unset -> 100`.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Vec<String> {
        let [before, after] = [self, next].map(Self::by_key);
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let change = |name: &&String| before.get(*name) != after.get(*name);
        let value =
            |settings: &BTreeMap<String, String>, name| settings.get(name).map_or("unset", String::as_str).to_owned();
        names
            .into_iter()
            .filter(change)
            .map(|name| format!("{name}: {} -> {}", value(&before, name), value(&after, name)))
            .collect()
    }

    /// The keys that both set, to different values.
    #[must_use]
    pub fn conflicts(&self, others: &Self) -> Vec<String> {
        let others = others.by_key();
        let differs = |(name, value): &(String, String)| others.get(name).is_some_and(|other| other != value);
        self.by_key().into_iter().filter(differs).map(|(name, _)| name).collect()
    }

    /// The settings that are set, by key.
    fn by_key(&self) -> BTreeMap<String, String> {
        let effects = self.effects.iter().map(|(rule, effect)| (format!("effects.{rule}"), effect.to_string()));
        let namespaces = self.exempt_namespaces.iter().cloned().collect::<Vec<_>>().join(" ");
        let others = [
            ("audit", self.audit.map(|audit| audit.to_string())),
            ("exemptNamespaces", Some(namespaces).filter(|namespaces| !namespaces.is_empty())),
            ("limits.maxBody", self.max_body.map(|bytes| bytes.to_string())),
            ("limits.maxInFlight", self.max_in_flight.map(|bytes| bytes.to_string())),
            ("limits.maxQueue", self.max_queue.map(|count| count.to_string())),
            ("limits.maxConnections", self.max_connections.map(|count| count.to_string())),
        ];
        effects.chain(others.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))).collect()
    }
}
