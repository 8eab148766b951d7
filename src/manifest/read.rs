//! Reading manifests as kubectl does: YAML 1.1 or JSON, several documents, lists.

use std::io::Cursor;

use serde_json::Value;
use serde_saphyr::{Error, Options, Spanned, alias_limits, budget, budget::BudgetBreach, options};
use thiserror::Error;

use crate::yaml;

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
    let mut input = Cursor::new(text);
    let mut room = text.len() + ALIASED;
    for (number, read) in (1..).zip(serde_saphyr::read_with_options::<_, Spanned<Value>>(&mut input, options(room))) {
        match read {
            Ok(document) => {
                let line = Some(document.referenced.line()).filter(|line| *line > 0);
                let Some(left) = room.checked_sub(size(&document.value)) else {
                    errors.push(ReadError { number, line, cause: TOO_LARGE.into() });
                    break;
                };
                room = left;
                expand(Document { number, item: None, line, object: document.value }, &mut documents, &mut errors);
            }
            Err(error) => {
                let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
                errors.push(ReadError { number, line, cause: cause(&error) });
            }
        }
    }
    (documents, errors)
}

/// Deepest nesting of a manifest: far more than anybody writes, and little enough for a stack of 1 MiB.
const DEPTH: usize = 250;

/// How much larger than its text a file may become, in the terms of [`size`].
///
/// A file without aliases has fewer values than bytes, however many profiles it lists. Aliases repeat values, and those of
/// a "billion laughs" would fill any memory.
const ALIASED: usize = 1 << 18;

const TOO_LARGE: &str =
    "must not become so large through its aliases: write out what they stand for, or split the file";

/// Options for a file of that size; the parser applies them to each document anew.
fn options(size: usize) -> Options {
    options! {
        with_snippet: false,
        legacy_octal_numbers: true,
        budget: budget! {
            max_depth: DEPTH,
            flow_nesting_limit: DEPTH,
            max_nodes: size,
            max_total_scalar_bytes: size.saturating_mul(VALUE),
            max_recorded_anchor_events: size,
            max_recorded_anchor_bytes: size.saturating_mul(VALUE),
            // What is left grows with the nodes, or with the text, which is here already.
            max_reader_input_bytes: None,
            max_events: usize::MAX,
            max_aliases: usize::MAX,
            max_anchors: usize::MAX,
            max_merge_keys: usize::MAX,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: alias_limits! { max_total_replayed_events: usize::MAX },
    }
}

/// Bytes of text that take as much memory as any other value.
const VALUE: usize = 64;

/// How many values there are in `value`, of which a long text counts as several.
fn size(value: &Value) -> usize {
    let inner = match value {
        Value::String(text) => text.len() / VALUE,
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() / VALUE + 1 + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    1 + inner
}

fn cause(error: &Error) -> String {
    match yaml::at_its_place(error) {
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => format!("must not be nested deeper than {DEPTH}"),
        Error::Budget { .. } => TOO_LARGE.into(),
        _ => yaml::cause(error),
    }
}

/// Takes lists apart, those within lists, too.
///
/// Items of a list of one kind need not name it: API servers leave that out.
fn expand(document: Document, documents: &mut Vec<Document>, errors: &mut Vec<ReadError>) {
    let Document { number, item, line, object } = document;
    let mut refuse = |cause: &str| {
        let item = item.map(|item| format!("item {item} ")).unwrap_or_default();
        errors.push(ReadError { number, line, cause: format!("{item}{cause}") });
    };
    let Value::Object(mut fields) = object else { return refuse("must be an object with apiVersion and kind") };
    let text = |field: &str| fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return refuse("must have apiVersion and kind");
    };
    let kind_of_items = kind.strip_suffix("List").map(|kind| (version.to_owned(), kind.to_owned()));
    let (Some((version, kind)), Some(Value::Array(items))) = (kind_of_items, fields.get_mut("items")) else {
        return documents.push(Document { number, item, line, object: Value::Object(fields) });
    };
    for (index, mut object) in items.drain(..).enumerate() {
        if let Some(fields) = object.as_object_mut().filter(|_| !kind.is_empty()) {
            fields.entry("apiVersion").or_insert_with(|| version.clone().into());
            fields.entry("kind").or_insert_with(|| kind.clone().into());
        }
        expand(Document { number, item: Some(index), line, object }, documents, errors);
    }
}
