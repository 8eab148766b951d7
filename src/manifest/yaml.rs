//! Converts YAML documents to JSON values as kubectl does: expands merges and aliases, and makes keys strings.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag, options};
use serde_json::{Map, Value};

use super::{
    budget::{Budget, size, size_of_text},
    read::{Cause, Mistake},
    scalar::{Scalar, resolve},
};
use crate::yaml::{ALIAS_OF_ITSELF, NULL_KEY, TEMPLATE, duplicate, is_template, plain};

/// Maximum nesting of a manifest: deeper than any real one, and safe for a stack of 1 MiB.
pub(super) const DEPTH: usize = 250;

const KEY: &str = "a key must be a string; put it in quotes";
const COLLECTION_KEY: &str = "a key cannot be a list or a mapping";
const MERGED: &str = "the value of << must be a mapping or a list of mappings";

/// Calls `take` with the line and the value of each document of `text` that is not empty.
///
/// # Errors
///
/// The first mistake. Reading stops there.
pub(super) fn documents(text: &str, budget: &mut Budget, take: impl FnMut(usize, Value)) -> Result<(), Mistake> {
    read(text, budget, take).map_err(|mistake| {
        let is_template = !mistake.is_size() && is_template(text, mistake.line());
        if is_template { Mistake::at(mistake.line(), TEMPLATE.into()) } else { mistake }
    })
}

fn read(text: &str, budget: &mut Budget, mut take: impl FnMut(usize, Value)) -> Result<(), Mistake> {
    let mut options = options! {
        block_scalar_eof_without_line_feed: true,
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
    };
    options.set_emit_comments(false);
    let mut loader = Loader::new(budget);
    let mut first_line = None;
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| Mistake::at(error.marker().line(), scan_cause(&error)))?;
        let line = span.start.line();
        let done = match event {
            Event::DocumentStart(..) => {
                (loader, first_line) = (Loader::new(loader.budget), None);
                continue;
            }
            Event::Scalar(text, style, anchor, tag) => loader.scalar(text, style, anchor, tag.as_deref()),
            Event::SequenceStart(_, anchor, _) => loader.open(Holder::List(Vec::new()), anchor),
            Event::MappingStart(_, anchor, _) => loader.open(Holder::Object(Object::default()), anchor),
            Event::SequenceEnd | Event::MappingEnd => loader.close(),
            Event::Alias(anchor) => loader.alias(anchor),
            Event::DocumentEnd => {
                if let Some(value) = loader.root.take().filter(|value| !value.is_null()) {
                    take(first_line.unwrap_or(line), value);
                }
                continue;
            }
            _ => continue,
        };
        first_line.get_or_insert(line);
        done.map_err(|cause| Mistake::at(line, cause))?;
    }
    Ok(())
}

/// Builds the value of a document from parser events.
struct Loader<'r> {
    budget: &'r mut Budget,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Value>,
}

/// A list or object that is still open.
struct Open {
    holder: Holder,
    anchor: usize,
    /// Levels of nesting inside it so far.
    height: usize,
}

enum Holder {
    List(Vec<Value>),
    Object(Object),
}

#[derive(Default)]
struct Object {
    fields: Map<String, Value>,
    /// Names of the fields that come only from a merge.
    merged: HashSet<String>,
    /// The key whose value follows.
    key: Option<Key>,
}

enum Key {
    Name(String),
    Merge,
}

/// The value of an anchor.
struct Anchored {
    value: Value,
    height: usize,
}

impl<'r> Loader<'r> {
    fn new(budget: &'r mut Budget) -> Self {
        Self { budget, open: Vec::new(), anchors: HashMap::new(), root: None }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Cause> {
        self.budget.take(size_of_text(&text))?;
        let is_plain = style == ScalarStyle::Plain;
        let is_merge = || match tag {
            Some(tag) => tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() == Some("merge"),
            None => is_plain,
        };
        if let Some(object) = self.awaits_key() {
            if text == "<<" && is_merge() {
                object.key = Some(Key::Merge);
                return Ok(());
            }
            let scalar = resolve(text, tag, is_plain)?;
            let no_key = if scalar == Scalar::Null { NULL_KEY } else { KEY };
            if anchor == 0 {
                object.key = Some(Key::Name(scalar.into_key().ok_or(no_key)?));
                return Ok(());
            }
            let value = scalar.clone().into_value()?;
            object.key = Some(Key::Name(scalar.into_key().ok_or(no_key)?));
            return self.keep(anchor, &value, 0);
        }
        let value = resolve(text, tag, is_plain)?.into_value()?;
        self.keep(anchor, &value, 0)?;
        self.put(value, 0)
    }

    fn open(&mut self, holder: Holder, anchor: usize) -> Result<(), Cause> {
        self.budget.take(1)?;
        if self.awaits_key().is_some() {
            return Err(COLLECTION_KEY.into());
        }
        if self.open.len() >= DEPTH {
            return Err(Cause::too_deep());
        }
        self.open.push(Open { holder, anchor, height: 1 });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Cause> {
        let Some(Open { holder, anchor, height }) = self.open.pop() else { return Ok(()) };
        let value = match holder {
            Holder::List(items) => Value::Array(items),
            Holder::Object(object) => Value::Object(object.fields),
        };
        self.keep(anchor, &value, height)?;
        self.put(value, height)
    }

    fn alias(&mut self, anchor: usize) -> Result<(), Cause> {
        let Anchored { value, height } = self.anchors.get(&anchor).ok_or(ALIAS_OF_ITSELF)?;
        self.budget.take(size(value))?;
        if self.open.len() + height > DEPTH {
            return Err(Cause::too_deep());
        }
        let (value, height) = (value.clone(), *height);
        let Some(object) = self.awaits_key() else { return self.put(value, height) };
        let name = match value {
            Value::String(name) => name,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null => return Err(NULL_KEY.into()),
            Value::Array(_) | Value::Object(_) => return Err(COLLECTION_KEY.into()),
        };
        object.key = Some(Key::Name(name));
        Ok(())
    }

    /// The open object, if a key is expected.
    fn awaits_key(&mut self) -> Option<&mut Object> {
        match &mut self.open.last_mut()?.holder {
            Holder::Object(object) if object.key.is_none() => Some(object),
            Holder::Object(_) | Holder::List(_) => None,
        }
    }

    /// Stores the value of an anchor, for aliases.
    fn keep(&mut self, anchor: usize, value: &Value, height: usize) -> Result<(), Cause> {
        if anchor != 0 {
            self.budget.take(size(value))?;
            self.anchors.insert(anchor, Anchored { value: value.clone(), height });
        }
        Ok(())
    }

    /// Adds a value to the open list or object, or makes it the whole document.
    fn put(&mut self, value: Value, height: usize) -> Result<(), Cause> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        open.height = open.height.max(height + 1);
        match &mut open.holder {
            Holder::List(items) => items.push(value),
            Holder::Object(object) => match object.key.take() {
                Some(Key::Name(name)) => object.set(name, value)?,
                Some(Key::Merge) => object.merge(value)?,
                None => return Err(KEY.into()),
            },
        }
        Ok(())
    }
}

impl Object {
    fn set(&mut self, name: String, value: Value) -> Result<(), Cause> {
        if self.fields.contains_key(&name) && !self.merged.remove(&name) {
            return Err(duplicate(&name).into());
        }
        self.fields.insert(name, value);
        Ok(())
    }

    /// Merges an object or a list of objects, as kubectl does. In a list the first object with a field takes precedence, and a
    /// merge overrides earlier fields.
    fn merge(&mut self, value: Value) -> Result<(), Cause> {
        let objects = match value {
            Value::Array(objects) => objects,
            object => vec![object],
        };
        for object in objects.into_iter().rev() {
            let Value::Object(fields) = object else { return Err(MERGED.into()) };
            for (name, value) in fields {
                if !self.fields.contains_key(&name) {
                    self.merged.insert(name.clone());
                }
                self.fields.insert(name, value);
            }
        }
        Ok(())
    }
}

/// What the parser reports, in plain words.
fn scan_cause(error: &ScanError) -> Cause {
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => Cause::too_deep(),
        kind => plain(&kind.to_string()).to_owned().into(),
    }
}
