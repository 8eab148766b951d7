//! How large a file may become in memory.

use serde_json::Value;

use super::read::Cause;

/// What is left of it, in the terms of [`size`].
pub(super) struct Budget(usize);

/// How much larger than its text a file may become, in the terms of [`size`].
///
/// A file without aliases has fewer values than bytes, however many profiles it lists. Aliases repeat values, and those of
/// a "billion laughs" would fill any memory.
const ALIASED: usize = 1 << 18;

/// Bytes of text that take as much memory as any other value.
const VALUE: usize = 64;

impl Budget {
    /// For a file of that many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        Self(bytes.saturating_add(ALIASED))
    }

    /// Takes so much of it.
    pub(super) fn take(&mut self, size: usize) -> Result<(), Cause> {
        self.0 = self.0.checked_sub(size).ok_or(Cause::TooLarge)?;
        Ok(())
    }
}

/// How many values there are in `value`, of which a long text counts as several.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => size_of_text(text),
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => 1 + fields.iter().map(|(name, value)| size_of_text(name) + size(value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

pub(super) fn size_of_text(text: &str) -> usize {
    1 + text.len() / VALUE
}
