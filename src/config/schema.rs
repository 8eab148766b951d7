//! The JSON Schema of the configuration file.

use serde_json::{Map, Value, json};

use crate::{config::KEYS, review::Rule, rules::RULES};

/// The schema of the configuration file, which has a description for each key and for the effect of each rule.
///
/// Of draft 7, which editors know. What it accepts, [`Settings::parse`](super::Settings::parse) accepts.
#[must_use]
pub fn schema() -> Value {
    let mut sections = Map::new();
    for key in KEYS {
        let mut schema = nullable((key.schema)());
        let docs = format!("{} By default {}.", key.docs, key.default);
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

/// An effect for each rule.
pub(super) fn effects() -> Value {
    let effect = |rule: &&'static Rule| {
        let docs = format!("Must hold: {}. By default {}.", rule.summary, rule.effect);
        // What `off` becomes where a tool that reads YAML 1.1 has written the file.
        (rule.name.to_owned(), json!({"description": docs, "enum": ["deny", "warn", "off", false]}))
    };
    object(&RULES.iter().map(effect).collect())
}

/// A number of bytes, as it is or with a unit.
pub(super) fn size() -> Value {
    // Ten digits of GiB are 64 bits.
    json!({"anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": "^[1-9][0-9]{0,9}(B|KiB|MiB|GiB)?$"},
    ]})
}

fn object(properties: &Map<String, Value>) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// The same, or null: what is left of a key when the lines below it are comments.
fn nullable(mut schema: Value) -> Value {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    } else if let Some(Value::Array(kinds)) = schema.get_mut("anyOf") {
        kinds.push(json!({"type": "null"}));
    }
    schema
}
