//! Reading manifests as kubectl does: YAML or JSON, several documents, lists.

use std::{borrow::Cow, str};

use serde_json::Value;
use thiserror::Error;

use super::{
    budget::Budget,
    json,
    yaml::{self, DEPTH},
};

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
/// Documents without content are passed over. A mistake ends what is read up to the next line `---`.
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
        if let Err(Mistake { line, cause }) = part_of(part, &mut budget, &mut take) {
            let is_full = matches!(cause, Cause::TooLarge);
            take(line, Err(cause));
            if is_full {
                break;
            }
        }
    }
    (documents, errors)
}

/// What is wrong, and on which line of the text, from 1.
pub(super) struct Mistake {
    line: usize,
    cause: Cause,
}

impl Mistake {
    pub(super) fn at(line: usize, cause: Cause) -> Self {
        Self { line, cause }
    }
}

/// What is wrong with a document.
#[derive(Debug, Error)]
pub(super) enum Cause {
    #[error("must not become so large through its aliases: write out what they stand for, or split the file")]
    TooLarge,
    #[error("{0}")]
    Other(Cow<'static, str>),
}

impl Cause {
    pub(super) fn too_deep() -> Self {
        format!("must not be nested deeper than {DEPTH}").into()
    }
}

impl<T: Into<Cow<'static, str>>> From<T> for Cause {
    fn from(cause: T) -> Self {
        Self::Other(cause.into())
    }
}

/// The objects between two lines `---`: JSON, YAML, or YAML after JSON.
fn part_of(
    part: &[u8],
    budget: &mut Budget,
    take: &mut impl FnMut(usize, Result<Value, Cause>),
) -> Result<(), Mistake> {
    let text = str::from_utf8(part).map_err(|error| {
        let before = part.get(..error.valid_up_to()).and_then(|before| str::from_utf8(before).ok());
        Mistake::at(1 + lines(before.unwrap_or_default()), "must be UTF-8".into())
    })?;
    // Editors of Windows begin a file with a byte-order mark, and files are put together with `---`.
    let text = if text.trim_start().starts_with(BYTE_ORDER_MARK) {
        Cow::Owned(text.replacen(BYTE_ORDER_MARK, "", 1))
    } else {
        Cow::Borrowed(text)
    };
    let (skipped, rest) = json::objects(&text, budget, &mut *take)?;
    let documents = yaml::documents(rest, budget, |line, object| take(line + skipped - 1, Ok(object)));
    documents.map_err(|Mistake { line, cause }| Mistake::at(line + skipped - 1, cause))
}

/// How many lines end in `text`.
pub(super) fn lines(text: &str) -> usize {
    text.matches('\n').count()
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// What is between the lines `---`, each part with its first line, from 1.
///
/// Directives (`%YAML 1.1`) belong to what comes after the line.
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

/// Whether there is a directive, and otherwise at most comments.
fn are_directives(part: &[u8]) -> bool {
    let lines = || part.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    part.contains(&b'%')
        && lines().any(|line| line.starts_with(b"%"))
        && lines().all(|line| line.first().is_none_or(|first| matches!(first, b'%' | b'#')))
}

/// The text as UTF-8, where a byte-order mark says that it is UTF-16, as PowerShell's `>` writes it.
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
