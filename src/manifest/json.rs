//! Reads JSON objects without separators, as `jq '.items[]'` prints them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, error::Category};

use super::{
    budget::{Budget, size},
    read::{Cause, Mistake, lines},
};
use crate::yaml;

/// Calls `take` with the line and the value of each JSON object at the start of `text`. Returns the rest with its line.
///
/// # Errors
///
/// A mistake after the first object. Before it, the text may be YAML that looks like JSON, so all of it is returned.
pub(super) fn objects<'t>(
    text: &'t str,
    budget: &mut Budget,
    mut take: impl FnMut(usize, Result<Value, Cause>),
) -> Result<(usize, &'t str), Mistake> {
    let (mut rest, mut line) = (text, 1);
    loop {
        let (first, trimmed) = (line, rest.trim_start());
        line += lines(rest.get(..rest.len() - trimmed.len()).unwrap_or_default());
        if !trimmed.starts_with('{') {
            return Ok((first, rest));
        }
        let mut objects = serde_json::Deserializer::from_str(trimmed).into_iter::<Json>();
        match objects.next() {
            Some(Ok(Json { value, duplicate: None })) => {
                budget.take(size(&value)).map_err(|cause| Mistake::at(line, cause))?;
                take(line, Ok(value));
            }
            Some(Ok(Json { duplicate: Some(key), .. })) => take(line, Err(yaml::duplicate(&key).into())),
            Some(Err(error)) if rest.len() == text.len() && error.classify() != Category::Io => return Ok((1, text)),
            Some(Err(error)) => return Err(Mistake::at(line + error.line() - 1, cause(&error).into())),
            None => return Ok((first, rest)),
        }
        let (read, left) = trimmed.split_at_checked(objects.byte_offset()).unwrap_or((trimmed, ""));
        line += lines(read);
        rest = left;
    }
}

/// What is wrong, without the position.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cause = text.rsplit_once(" at line ").map_or(text.as_str(), |(cause, _)| cause);
    let is_incomplete = cause.starts_with("EOF while parsing");
    if is_incomplete { "incomplete JSON: the file ends inside a value".to_owned() } else { cause.to_owned() }
}

/// A JSON value, and the first duplicate key in it.
struct Json {
    value: Value,
    duplicate: Option<String>,
}

impl Json {
    fn of(value: impl Into<Value>) -> Self {
        Self { value: value.into(), duplicate: None }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::of(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::of(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::of(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::of(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::of(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::of(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Json, E> {
        Ok(Json::of(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let (mut values, mut duplicate) = (Vec::new(), None);
        while let Some(item) = items.next_element::<Json>()? {
            duplicate = duplicate.or(item.duplicate);
            values.push(item.value);
        }
        Ok(Json { value: Value::Array(values), duplicate })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let (mut values, mut duplicate) = (Map::new(), None);
        while let Some((name, Json { value, duplicate: inner })) = fields.next_entry::<String, Json>()? {
            duplicate = duplicate.or(inner);
            if duplicate.is_none() && values.contains_key(&name) {
                duplicate = Some(name);
            } else {
                values.insert(name, value);
            }
        }
        Ok(Json { value: Value::Object(values), duplicate })
    }
}
