//! What an administrator chooses, and the file that says it.
//!
//! Pure: bytes in, a value or all mistakes out.

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
    schema::schema,
};
use crate::{
    review::{Effect, Policy},
    rules::RULES,
};

mod keys;
mod node;
mod schema;
#[cfg(test)]
mod tests;

/// What an administrator chooses. What is not chosen is as the program has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Effects, by the name of the rule.
    pub effects: BTreeMap<&'static str, Effect>,
    /// Whether every refusal is to be a warning.
    pub audit: Option<bool>,
    /// Namespaces in which everything is allowed, each a DNS-1123 label.
    pub exempt_namespaces: BTreeSet<String>,
    /// Bytes of one body, at least 1.
    pub max_body: Option<usize>,
    /// Bytes of all bodies at a time, at least 1.
    pub max_in_flight: Option<usize>,
    /// Bodies at a time that wait for room.
    pub max_queue: Option<u32>,
    /// Connections at a time, at least 1.
    pub max_connections: Option<u32>,
}

/// What is wrong at a place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    position: Position,
    text: String,
}

impl fmt::Display for Mistake {
    /// The place, where the parser knows it, and what is wrong there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        if line > 0 {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl Settings {
    /// What a configuration file chooses, given its content: YAML, or JSON, in UTF-8. Nothing, where it is empty.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order of their places; but of YAML that cannot be parsed the first alone.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<Mistake>> {
        let mut settings = Self::default();
        let mut mistakes = Vec::new();
        read(&Node::parse(text).map_err(|mistake| vec![mistake])?, &mut settings, &mut mistakes);
        if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
    }

    /// These, and where they choose nothing, `others`.
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

    /// What rules go by.
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

    /// What differs in `next`, as lines for a log: the key, what it said and what it says, in the order of keys.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Vec<String> {
        let [before, after] = [self, next].map(Self::told);
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let change = |name: &&String| before.get(*name) != after.get(*name);
        let said = |told: &BTreeMap<String, String>, name| told.get(name).map_or("unset", String::as_str).to_owned();
        names
            .into_iter()
            .filter(change)
            .map(|name| format!("{name}: {} -> {}", said(&before, name), said(&after, name)))
            .collect()
    }

    /// The keys that both choose, and differently.
    #[must_use]
    pub fn conflicts(&self, others: &Self) -> Vec<String> {
        let others = others.told();
        let differs = |(name, said): &(String, String)| others.get(name).is_some_and(|other| other != said);
        self.told().into_iter().filter(differs).map(|(name, _)| name).collect()
    }

    /// What is chosen, by key.
    fn told(&self) -> BTreeMap<String, String> {
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
        effects.chain(others.into_iter().filter_map(|(name, said)| Some((name.to_owned(), said?)))).collect()
    }
}
