//! The keys of the configuration file: their documentation, schema and parsing.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::{
    config::{
        Amount, Limit, Mistake, Setting, Settings,
        node::{Name, Node, Position, Value},
        schema,
    },
    review::Effect,
    rules,
    suggest::unknown,
    syntax::is_label,
};

/// A key of the configuration file.
///
/// A limit also has a flag of `serve` and a variable.
#[derive(Debug)]
pub struct Key {
    /// Its path, as in `limits.maxBody`. Part of the public interface.
    pub path: &'static str,
    /// Its documentation, in full sentences.
    pub docs: &'static str,
    kind: Kind,
}

/// What a key sets.
#[derive(Debug)]
enum Kind {
    /// A part of the policy.
    Policy {
        /// The value if it is absent, in words.
        default: &'static str,
        /// The JSON Schema of its value. Null is allowed in addition.
        schema: fn() -> Json,
        read: fn(&Node, &mut Settings, &mut Vec<Mistake>),
    },
    /// A limit of the server.
    Limit(Limit),
}

/// All keys.
pub static KEYS: &[Key] = &[
    Key {
        path: "effects",
        docs: "Effect of each rule, by the name of the rule: deny denies the write, warn allows it with a warning, and off \
               disables the rule and the values that it fills in.",
        kind: Kind::Policy { default: "each rule's own", schema: schema::effects, read: effects },
    },
    Key {
        path: "audit",
        docs: "Whether rules only warn where they would deny, for a first rollout.",
        kind: Kind::Policy { default: "false", schema: || json!({"type": "boolean"}), read: audit },
    },
    Key {
        path: "exemptNamespaces",
        docs: "Namespaces whose ClusterProfiles are neither checked nor filled in. Give full names; patterns are not \
               supported. A user who can write ClusterProfiles in such a namespace can store any content in them.",
        kind: Kind::Policy {
            default: "none",
            schema: || json!({"type": "array", "items": {"type": "string", "pattern": LABEL}}),
            read: exempt_namespaces,
        },
    },
    Key {
        path: "limits.maxBody",
        docs: "Maximum size of a request body, in bytes, KiB, MiB or GiB. A larger one is rejected with status 413.",
        kind: Kind::Limit(Limit { amount: Amount::Size, field: |limits| &mut limits.body }),
    },
    Key {
        path: "limits.maxInFlight",
        docs: "Body budget: maximum memory for all request bodies. Half of it is split evenly between connections. A body \
               larger than its connection's share waits for memory in the other half until its deadline.",
        kind: Kind::Limit(Limit { amount: Amount::Size, field: |limits| &mut limits.in_flight }),
    },
    Key {
        path: "limits.maxQueue",
        docs: "Maximum requests waiting for body memory. When full, the source address with the most waiting requests gets \
               503 and can retry.",
        kind: Kind::Limit(Limit { amount: Amount::Count { least: 0 }, field: |limits| &mut limits.queue }),
    },
    Key {
        path: "limits.maxConnections",
        docs: "Maximum open connections. When full, a new connection evicts one that has completed no review, or else the \
               least recently active one.",
        kind: Kind::Limit(Limit { amount: Amount::Count { least: 1 }, field: |limits| &mut limits.connections }),
    },
];

impl Key {
    /// The value if it is absent.
    #[must_use]
    pub fn default(&self) -> String {
        match &self.kind {
            Kind::Policy { default, .. } => (*default).to_owned(),
            Kind::Limit(limit) => limit.default(),
        }
    }

    /// The limit that it sets, if it sets one.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        match self.kind {
            Kind::Policy { .. } => None,
            Kind::Limit(limit) => Some(limit),
        }
    }

    pub(super) fn schema(&self) -> Json {
        match &self.kind {
            Kind::Policy { schema, .. } => schema(),
            Kind::Limit(limit) => limit.amount.schema(),
        }
    }

    fn read(&'static self, node: &Node, settings: &mut Settings, mistakes: &mut Vec<Mistake>) {
        match &self.kind {
            Kind::Policy { read, .. } => read(node, settings, mistakes),
            Kind::Limit(limit) => match limit.amount.parse(&node.value) {
                Some(amount) => settings.set(Setting::Limit { key: self, amount }),
                None => mistakes.push(node.must_be(self.path, &limit.amount.form())),
            },
        }
    }
}

/// The pattern of a DNS-1123 label.
const LABEL: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

/// Reads the value of the whole file.
pub(super) fn read(root: &Node, settings: &mut Settings, mistakes: &mut Vec<Mistake>) {
    section("", root, settings, mistakes);
}

/// Reads the keys of a section. `within` is its path with a dot at the end, or empty for the whole file.
fn section(within: &str, node: &Node, settings: &mut Settings, mistakes: &mut Vec<Mistake>) {
    for (Name { position, name }, value) in fields(within.trim_end_matches('.'), node, mistakes) {
        let path = format!("{within}{name}");
        let inner = format!("{path}.");
        let key = KEYS.iter().find(|key| key.path == path);
        let is_section = KEYS.iter().any(|key| key.path.starts_with(&inner));
        match key {
            // A key without a value is allowed, because that is what remains if the lines below it are commented out.
            _ if !name.contains('.') && matches!(value.value, Value::Null) && (key.is_some() || is_section) => {}
            Some(key) if !name.contains('.') => key.read(value, settings, mistakes),
            None if is_section => section(&inner, value, settings, mistakes),
            _ => mistakes.push(position.mistake(no_key(&path, name))),
        }
    }
}

fn no_key(path: &str, name: &str) -> String {
    if name.contains('.') {
        return format!("there is no key {}; write the key indented below its section", crate::redact::quote(path));
    }
    let sections = KEYS.iter().filter_map(|key| Some(key.path.split_once('.')?.0));
    let paths = KEYS.iter().map(|key| key.path);
    unknown("key", path, paths.chain(sections), "`clusterprofile-webhook config-schema` lists all keys")
}

/// The fields of a value that must be a map: of the key with this path, or of the whole file.
fn fields<'n>(path: &str, node: &'n Node, mistakes: &mut Vec<Mistake>) -> &'n [(Name, Node)] {
    match &node.value {
        Value::Map(fields) => fields,
        Value::Null => &[],
        _ => {
            mistakes.push(node.must_be(if path.is_empty() { "the file" } else { path }, "a map"));
            &[]
        }
    }
}

fn effects(node: &Node, settings: &mut Settings, mistakes: &mut Vec<Mistake>) {
    for (Name { position, name }, value) in fields("effects", node, mistakes) {
        let effect = match &value.value {
            Value::Text(text) => text.parse().ok(),
            // A tool that reads YAML 1.1, such as Helm, writes `off` as false.
            Value::Boolean(false) => Some(Effect::Off),
            _ => None,
        };
        let rule = rules::named(name);
        match (&rule, effect) {
            (Ok(rule), Some(effect)) => settings.set(Setting::Effect(rule, effect)),
            (Ok(rule), None) => {
                mistakes.push(value.must_be(&format!("effects.{}", rule.name), "deny, warn or off"));
            }
            (Err(text), _) => mistakes.push(position.mistake(text.clone())),
        }
    }
}

fn audit(node: &Node, settings: &mut Settings, mistakes: &mut Vec<Mistake>) {
    match node.value {
        Value::Boolean(audit) => settings.set(Setting::Audit(audit)),
        _ => mistakes.push(node.must_be("audit", "true or false")),
    }
}

fn exempt_namespaces(node: &Node, settings: &mut Settings, mistakes: &mut Vec<Mistake>) {
    let Value::List(items) = &node.value else {
        return mistakes.push(node.must_be("exemptNamespaces", "a list"));
    };
    let mut names = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        match &item.value {
            Value::Text(name) if is_label(name) => drop(names.insert(name.clone())),
            _ => mistakes.push(item.must_be(
                &format!("exemptNamespaces[{index}]"),
                "the full name of a namespace (1 to 63 of [a-z0-9-], alphanumeric at both ends), not a pattern",
            )),
        }
    }
    if !names.is_empty() {
        settings.set(Setting::ExemptNamespaces(names));
    }
}

impl Node {
    fn must_be(&self, path: &str, what: &str) -> Mistake {
        self.position.mistake(format!("{path} must be {what}, not {}", self.value))
    }
}

impl Position {
    fn mistake(self, text: String) -> Mistake {
        Mistake { position: self, text }
    }
}
