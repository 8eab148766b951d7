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
    limits::{Amount, Limit, Limits},
    schema::schema,
};
use crate::review::{Effect, Policy, Rule};

mod keys;
mod limits;
mod node;
mod schema;
#[cfg(test)]
mod tests;

/// The settings of an administrator, by the path of the key. What is not set has its default.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<String, Setting>);

/// What an administrator has set. Displayed as in a log.
#[derive(Clone, Debug)]
pub enum Setting {
    /// The effect of a rule.
    Effect(&'static Rule, Effect),
    /// Whether rules only warn where they would deny.
    Audit(bool),
    /// Namespaces in which no rule runs, each a DNS-1123 label. At least one.
    ExemptNamespaces(BTreeSet<String>),
    /// A limit of the server.
    Limit {
        /// Its key, which has a limit.
        key: &'static Key,
        /// Its value.
        amount: usize,
    },
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

    /// Sets a key, or the effect of a rule. Replaces an earlier value.
    fn set(&mut self, setting: Setting) {
        self.0.insert(setting.path(), setting);
    }

    /// These settings, with those of `others` for what these do not set.
    #[must_use]
    pub fn or(mut self, others: &Self) -> Self {
        for (path, setting) in &others.0 {
            self.0.entry(path.clone()).or_insert_with(|| setting.clone());
        }
        self
    }

    /// The policy of the rules.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        for setting in self.0.values() {
            match setting {
                Setting::Effect(rule, effect) => policy.set(rule, *effect),
                Setting::Audit(audit) => policy.set_audit(*audit),
                Setting::ExemptNamespaces(names) => policy.set_exempt_namespaces(names.clone()),
                Setting::Limit { .. } => {}
            }
        }
        policy
    }

    /// The limits of the server, with defaults for the rest.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for setting in self.0.values() {
            if let Setting::Limit { key, amount } = setting
                && let Some(limit) = key.limit()
            {
                *(limit.field)(&mut limits) = *amount;
            }
        }
        limits
    }

    /// The differences to `next`, sorted by key, as in `limits.maxQueue: unset -> 100`.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Vec<String> {
        let paths: BTreeSet<_> = self.0.keys().chain(next.0.keys()).collect();
        let change = |path: &String| {
            let [before, after] = [self, next].map(|settings| settings.value(path));
            let [old, new] = [&before, &after].map(|value| value.as_deref().unwrap_or("unset"));
            (before != after).then(|| format!("{path}: {old} -> {new}"))
        };
        paths.into_iter().filter_map(change).collect()
    }

    /// The keys that both set, to different values.
    #[must_use]
    pub fn conflicts(&self, others: &Self) -> Vec<String> {
        let differs = |path: &&String| others.value(path).is_some_and(|other| Some(other) != self.value(path));
        self.0.keys().filter(differs).cloned().collect()
    }

    fn value(&self, path: &str) -> Option<String> {
        self.0.get(path).map(ToString::to_string)
    }
}

impl FromIterator<Setting> for Settings {
    /// The last one counts if a key, or the effect of a rule, is set twice.
    fn from_iter<I: IntoIterator<Item = Setting>>(all: I) -> Self {
        Self(all.into_iter().map(|setting| (setting.path(), setting)).collect())
    }
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        self.changes(other).is_empty()
    }
}

impl Eq for Settings {}

impl Setting {
    fn path(&self) -> String {
        match self {
            Self::Effect(rule, _) => format!("effects.{}", rule.name),
            Self::Audit(_) => "audit".to_owned(),
            Self::ExemptNamespaces(_) => "exemptNamespaces".to_owned(),
            Self::Limit { key, .. } => key.path.to_owned(),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Effect(_, effect) => effect.fmt(f),
            Self::Audit(audit) => audit.fmt(f),
            Self::ExemptNamespaces(names) => f.write_str(&names.iter().cloned().collect::<Vec<_>>().join(" ")),
            Self::Limit { amount, .. } => amount.fmt(f),
        }
    }
}
