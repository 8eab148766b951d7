//! Functions for the fuzz targets only. They change without notice.

use serde_json::{Map, Value};

use crate::json::{Reader, Unreadable};

/// Parses a text with the JSON reader for request bodies.
///
/// Returns `None` if the text is not JSON, or is nested deeper than `serde_json` accepts.
#[must_use]
pub fn read(text: &str) -> Option<Value> {
    let mut reader = Reader::new(text, 0);
    let read = value(&mut reader, 0).ok()?;
    reader.end().ok().map(|()| read)
}

fn value(reader: &mut Reader<'_>, depth: usize) -> Result<Value, Unreadable> {
    /// The limit of `serde_json`, which the fuzz target compares the reader with.
    const DEPTH: usize = 128;
    if depth == DEPTH {
        return Err(Unreadable::Json);
    }
    Ok(match reader.peek().ok_or(Unreadable::Json)? {
        b'"' => reader.string()?.into_owned().into(),
        b'{' => {
            let mut map = Map::new();
            reader.object(|reader, name| {
                map.insert(name.into_owned(), value(reader, depth + 1)?);
                Ok(())
            })?;
            Value::Object(map)
        }
        b'[' => {
            let mut items = Vec::new();
            reader.array(|reader| {
                items.push(value(reader, depth + 1)?);
                Ok(())
            })?;
            Value::Array(items)
        }
        b't' | b'f' | b'n' => reader.literal()?.map_or(Value::Null, Value::Bool),
        _ => Value::Number(reader.number()?),
    })
}
