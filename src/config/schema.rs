//! The JSON Schema of the configuration file.

use serde_json::{Map, Value, json};

use crate::{config::KEYS, review::Rule, rules::RULES};

/// The JSON Schema of the configuration file (draft 7, for editors), with a description of each key and each rule.
///
/// [`Settings::parse`](super::Settings::parse) accepts the same files.
#[must_use]
pub fn schema() -> Value {
    let mut sections = Map::new();
    for key in KEYS {
        let mut schema = nullable(key.schema());
        let docs = format!("{} Default: {}.", key.docs, key.default());
        schema.as_object_mut().expect("a schema is an object").insert("description".to_owned(), docs.into());
        match key.path.split_once('.') {
            None => drop(sections.insert(key.path.to_owned(), schema)),
            Some((section, name)) => {
                let section = sections.entry(section).or_insert_with(|| nullable(object(&Map::new())));
                let keys = section.pointer_mut("/properties").and_then(Value::as_object_mut);
                keys.expect("an object has properties").insert(name.to_owned(), schema);
            }
        }
    }
    let mut schema = nullable(object(&sections));
    let head = [
        ("$schema", "http://json-schema.org/draft-07/schema#"),
        ("title", "clusterprofile-webhook"),
        ("description", "Configuration file of clusterprofile-webhook, for `serve --config` and `check --config`."),
    ];
    let fields = schema.as_object_mut().expect("a schema is an object");
    fields.extend(head.map(|(name, text)| (name.to_owned(), text.into())));
    schema
}

/// The schema of `effects`.
pub(super) fn effects() -> Value {
    let effect = |rule: &&'static Rule| {
        let docs = format!("Requires: {}. Default: {}.", rule.summary, rule.effect);
        // A tool that reads YAML 1.1 writes `off` as false.
        (rule.name.to_owned(), json!({"description": docs, "enum": ["deny", "warn", "off", false]}))
    };
    object(&RULES.iter().map(effect).collect())
}

/// The schema of a number of bytes, with or without a unit.
pub(super) fn size() -> Value {
    // Ten digits with the unit GiB still fit into 64 bits.
    json!({"anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": "^[1-9][0-9]{0,9}(B|KiB|MiB|GiB)?$"},
    ]})
}

/// The schema of a number.
pub(super) fn count(least: u32) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": u32::MAX})
}

fn object(properties: &Map<String, Value>) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// Adds null to a schema, for a key whose value is commented out.
fn nullable(mut schema: Value) -> Value {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    } else if let Some(Value::Array(kinds)) = schema.get_mut("anyOf") {
        kinds.push(json!({"type": "null"}));
    }
    schema
}
