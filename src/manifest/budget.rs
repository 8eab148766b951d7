//! Limits the memory that a file can take once its aliases are expanded.

use serde_json::Value;

use super::read::Cause;

/// The remaining budget of a file, in the unit of [`size`].
pub(super) struct Budget(usize);

/// Budget in addition to the size of the text, in the unit of [`size`].
///
/// A file without aliases has fewer values than bytes, however many profiles it lists. Aliases repeat values, and a "billion
/// laughs" file would fill any memory.
const ALIASED: usize = 1 << 18;

/// Bytes of text that count as one value.
const VALUE: usize = 64;

impl Budget {
    /// The budget of a file of this many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        Self(bytes.saturating_add(ALIASED))
    }

    /// Spends a part of the budget.
    pub(super) fn take(&mut self, size: usize) -> Result<(), Cause> {
        self.0 = self.0.checked_sub(size).ok_or(Cause::TooLarge)?;
        Ok(())
    }
}

/// The number of values in `value`, where a long text counts as several.
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
