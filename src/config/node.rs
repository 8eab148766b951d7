//! The values of a YAML file, each with its position.
//!
//! A derived `serde` type stops at the first mistake. This tree lets the keys report all mistakes, each at its place.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Error, Location, Options, Spanned, budget, budget::BudgetBreach, options};

use crate::{config::Mistake, redact::quote, yaml};

/// A value with its position.
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) value: Value,
}

/// A position in the file, counted from line 1 and column 1. Line 0 if it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A value, as YAML 1.2 reads it: `off` and `no` are strings.
pub(super) enum Value {
    Null,
    Boolean(bool),
    /// None if it is negative or not a whole number.
    Number(Option<u64>),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Name, Node)>),
}

/// The name of a field with its position.
pub(super) struct Name {
    pub(super) position: Position,
    pub(super) name: String,
}

impl Node {
    /// Parses the only document of a file.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Mistake> {
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(Mistake { position: Position::default(), text: yaml::not_text(text).to_owned() });
        };
        let parsed: Result<Spanned<Value>, _> = serde_saphyr::from_str_with_options(text, options());
        parsed.map(Self::from).map_err(|error| {
            let position = error.location().map(Position::from).unwrap_or_default();
            let line = usize::try_from(position.line).unwrap_or_default();
            let text = match yaml::at_its_place(&error) {
                Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => "values are nested too deeply".to_owned(),
                Error::Budget { .. } => "too many values".to_owned(),
                _ if line > 0 && yaml::is_template(text, line) => yaml::TEMPLATE.to_owned(),
                _ => yaml::cause(&error),
            };
            Mistake { position, text }
        })
    }
}

/// Parser options for a small file that an administrator writes.
fn options() -> Options {
    /// Deeper than a valid file, and shallow enough for any stack.
    const DEPTH: usize = 16;
    /// Maximum values, expanded aliases included: many times as many as all rules and a thousand namespaces need.
    const NODES: usize = 100_000;
    options! {
        with_snippet: false,
        strict_booleans: true,
        budget: budget! {
            max_depth: DEPTH,
            flow_nesting_limit: DEPTH,
            max_nodes: NODES,
            max_events: 4 * NODES,
        },
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { position: spanned.referenced.into(), value: spanned.value }
    }
}

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

impl fmt::Display for Value {
    /// Describes the value in a message: a scalar by its text, shortened and redacted; a collection by its kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Number(Some(value)) => write!(f, "{value}"),
            Self::Number(None) => f.write_str("a number that is negative or not whole"),
            Self::Text(text) => f.write_str(&quote(text)),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a map"),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.try_into().ok()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(Some(value)))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Number(None))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Number(None))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number(None))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            nodes.push(item.into());
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some((name, value)) = fields.next_entry::<Spanned<String>, Spanned<Value>>()? {
            nodes.push((Name { position: name.referenced.into(), name: name.value }, value.into()));
        }
        Ok(Value::Map(nodes))
    }
}
