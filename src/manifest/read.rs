//! Reading manifests as kubectl does: YAML 1.1 or JSON, several documents, lists.

use std::io::Cursor;

use serde_json::Value;
use serde_saphyr::{Spanned, budget, options};
use thiserror::Error;

/// An object of a manifest.
#[derive(Clone, Debug)]
pub struct Document {
    /// Which document of the file it is in, from 1.
    pub number: usize,
    /// Which item of a list it is, from 0.
    pub item: Option<usize>,
    /// The line on which the document begins, from 1, where the parser knows it.
    pub line: Option<u64>,
    /// The object.
    pub object: Value,
}

/// Why a document cannot be used.
#[derive(Debug, Error)]
#[error("document {number}{}: {cause}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ReadError {
    /// Which document of the file it is, from 1.
    pub number: usize,
    /// The line of the mistake, from 1, where the parser knows it.
    pub line: Option<u64>,
    /// The mistake.
    pub cause: String,
}

/// The objects of a manifest, those of its lists one by one, and what of it cannot be used.
///
/// Documents without content are passed over. Nothing after a mistake in syntax is read.
#[must_use]
pub fn read(text: &[u8]) -> (Vec<Document>, Vec<ReadError>) {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    let options = options! {
        with_snippet: false,
        legacy_octal_numbers: true,
        budget: budget! { max_depth: DEPTH },
    };
    let mut input = Cursor::new(text);
    let values = serde_saphyr::read_with_options::<_, Spanned<Value>>(&mut input, options);
    for (number, read) in (1..).zip(values) {
        match read {
            Ok(document) => {
                let line = Some(document.referenced.line()).filter(|line| *line > 0);
                if let Err(cause) = expand(document.value, number, line, &mut documents) {
                    errors.push(ReadError { number, line, cause });
                }
            }
            Err(error) => {
                let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
                let cause = error.to_string().replace(['\n', '\r'], " ");
                errors.push(ReadError { number, line, cause });
            }
        }
    }
    (documents, errors)
}

/// Deepest nesting of a manifest: far more than anybody writes, and little enough for every stack.
const DEPTH: usize = 1500;

fn expand(object: Value, number: usize, line: Option<u64>, documents: &mut Vec<Document>) -> Result<(), String> {
    let Value::Object(fields) = &object else { return Err("must be an object with apiVersion and kind".into()) };
    let text = |field: &str| fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(_), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return Err("must have apiVersion and kind".into());
    };
    match fields.get("items") {
        Some(Value::Array(items)) if kind.ends_with("List") => {
            for (index, item) in items.iter().enumerate() {
                documents.push(Document { number, item: Some(index), line, object: item.clone() });
            }
        }
        _ => documents.push(Document { number, item: None, line, object }),
    }
    Ok(())
}
