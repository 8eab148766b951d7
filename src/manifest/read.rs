//! Reads manifests as kubectl does: YAML or JSON, with several documents and lists.

use std::{borrow::Cow, str};

use serde_json::Value;
use thiserror::Error;

use super::{
    budget::Budget,
    json,
    yaml::{self, DEPTH},
};
use crate::yaml::not_text;

/// An object of a manifest.
#[derive(Clone, Debug)]
pub struct Document {
    /// The number of its document in the file, from 1.
    pub number: usize,
    /// Its index in a list, from 0.
    pub item: Option<usize>,
    /// The first line of the document, from 1, if known.
    pub line: Option<u64>,
    /// The object as JSON.
    pub object: Value,
}

/// Why a document cannot be read.
#[derive(Debug, Error)]
#[error("document {number}{}: {cause}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ReadError {
    /// The number of the document in the file, from 1.
    pub number: usize,
    /// The line of the mistake, from 1, if known.
    pub line: Option<u64>,
    /// What is wrong.
    pub cause: String,
}

/// Reads the objects of a manifest, including the items of lists, and the errors.
///
/// Empty documents are skipped. After a mistake, reading continues at the next line `---`.
#[must_use]
pub fn read(text: &[u8]) -> (Vec<Document>, Vec<ReadError>) {
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    let (mut number, mut budget) = (0, Budget::of(text.len()));
    for (first, part) in parts(&utf8(text)) {
        let place = |line: usize| u64::try_from(first + line - 1).ok();
        let mut take = |line, object: Result<Value, Cause>| {
            number += 1;
            let line = place(line);
            match object {
                Ok(object) => expand(Document { number, item: None, line, object }, &mut documents, &mut errors),
                Err(cause) => errors.push(ReadError { number, line, cause: cause.to_string() }),
            }
        };
        if let Err(mistake) = part_of(part, &mut budget, &mut take) {
            let is_size = mistake.is_size();
            take(mistake.line, Err(mistake.cause));
            if is_size {
                break;
            }
        }
    }
    (documents, errors)
}

/// What is wrong, with the line in the text, from 1.
pub(super) struct Mistake {
    line: usize,
    cause: Cause,
}

impl Mistake {
    pub(super) fn at(line: usize, cause: Cause) -> Self {
        Self { line, cause }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Whether the file is too large to read on.
    pub(super) fn is_size(&self) -> bool {
        matches!(self.cause, Cause::TooLarge)
    }
}

/// What is wrong with a document.
#[derive(Debug, Error)]
pub(super) enum Cause {
    #[error("YAML aliases expand to too many values; write the values out or split the file")]
    TooLarge,
    #[error("{0}")]
    Other(Cow<'static, str>),
}

impl Cause {
    pub(super) fn too_deep() -> Self {
        format!("values are nested deeper than {DEPTH} levels").into()
    }
}

impl<T: Into<Cow<'static, str>>> From<T> for Cause {
    fn from(cause: T) -> Self {
        Self::Other(cause.into())
    }
}

/// Reads the text between two lines `---`: JSON, YAML, or JSON followed by YAML.
fn part_of(
    part: &[u8],
    budget: &mut Budget,
    take: &mut impl FnMut(usize, Result<Value, Cause>),
) -> Result<(), Mistake> {
    let text = str::from_utf8(part).map_err(|error| {
        let before = part.get(..error.valid_up_to()).and_then(|before| str::from_utf8(before).ok());
        Mistake::at(1 + lines(before.unwrap_or_default()), not_text(part).into())
    })?;
    // Windows editors start a file with a byte-order mark, and files are concatenated with `---`.
    let text = if text.trim_start().starts_with(BYTE_ORDER_MARK) {
        Cow::Owned(text.replacen(BYTE_ORDER_MARK, "", 1))
    } else {
        Cow::Borrowed(text)
    };
    let (skipped, rest) = json::objects(&text, budget, &mut *take)?;
    let documents = yaml::documents(rest, budget, |line, object| take(line + skipped - 1, Ok(object)));
    documents.map_err(|Mistake { line, cause }| Mistake::at(line + skipped - 1, cause))
}

/// The number of line ends in `text`.
pub(super) fn lines(text: &str) -> usize {
    text.matches('\n').count()
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Splits a text at the lines `---`. Each part comes with the number of its first line, from 1.
///
/// Directives (`%YAML 1.1`) belong to the part after the line.
fn parts(text: &[u8]) -> Vec<(usize, &[u8])> {
    let text = text.strip_prefix(BYTE_ORDER_MARK.to_string().as_bytes()).unwrap_or(text);
    let (mut parts, mut first, mut start, mut at) = (Vec::new(), 1, 0, 0);
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let after = line.strip_prefix(b"---").filter(|rest| rest.first().is_none_or(u8::is_ascii_whitespace));
        let before = text.get(start..at).unwrap_or_default();
        if let Some(after) = after.filter(|_| !are_directives(before)) {
            parts.push((first, before));
            (first, start) = (index + 1, at + line.len() - after.len());
        }
        at += line.len();
    }
    parts.push((first, text.get(start..).unwrap_or_default()));
    parts
}

/// Whether a part has directives, and otherwise only comments.
fn are_directives(part: &[u8]) -> bool {
    let lines = || part.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    part.contains(&b'%')
        && lines().any(|line| line.starts_with(b"%"))
        && lines().all(|line| line.first().is_none_or(|first| matches!(first, b'%' | b'#')))
}

/// Converts UTF-16 with a byte-order mark, as PowerShell's `>` writes it, to UTF-8.
fn utf8(text: &[u8]) -> Cow<'_, [u8]> {
    let units = match text {
        [0xff, 0xfe, units @ ..] => units.chunks(2).map(|unit| u16::from_le_bytes(pair(unit))).collect::<Vec<_>>(),
        [0xfe, 0xff, units @ ..] => units.chunks(2).map(|unit| u16::from_be_bytes(pair(unit))).collect(),
        _ => return Cow::Borrowed(text),
    };
    Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
}

fn pair(unit: &[u8]) -> [u8; 2] {
    *unit.first_chunk().unwrap_or(&[b'?'; 2])
}

/// Expands lists, including nested ones, into their items.
///
/// Items of a typed list may lack apiVersion and kind, because API servers omit them.
fn expand(document: Document, documents: &mut Vec<Document>, errors: &mut Vec<ReadError>) {
    let Document { number, item, line, object } = document;
    let mut refuse = |cause: &str| {
        let item = item.map(|item| format!("item {item} ")).unwrap_or_default();
        errors.push(ReadError { number, line, cause: format!("{item}{cause}") });
    };
    let Value::Object(mut fields) = object else {
        return refuse("not a Kubernetes object: expected a mapping with apiVersion and kind");
    };
    let text = |field: &str| fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return refuse("apiVersion or kind is missing");
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
