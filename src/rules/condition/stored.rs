//! The stored conditions, which fixes are taken from and must not disturb.

use std::{borrow::Cow, cell::OnceCell};

use crate::{
    digest,
    field_path::Place,
    profile::{Condition, Items, Status},
    review::{Change, Reporter},
};

/// The stored conditions by type and status; CRDs without list-map keys store a type twice.
///
/// An index, made at the first lookup: a search for each of thousands of conditions would take seconds. It holds positions,
/// because a map would take more memory than the body.
pub(super) struct Stored<'a> {
    conditions: Option<&'a Items<'a, Condition<'a>>>,
    by_kind: OnceCell<Vec<u32>>,
    by_status: OnceCell<Vec<u32>>,
    status: Option<&'a Status<'a>>,
    /// Whether the write leaves all conditions as they are.
    is_kept: bool,
    /// Digests of all conditions, in order.
    whole: OnceCell<Vec<u64>>,
}

impl<'a> Stored<'a> {
    pub(super) fn of(change: &Change<'a>) -> Self {
        let status = change.old_status();
        let conditions = status.and_then(|status| status.conditions.set());
        let is_kept = change.status().is_some_and(|new| Some(&new.conditions) == status.map(|old| &old.conditions));
        Self {
            conditions,
            by_kind: OnceCell::new(),
            by_status: OnceCell::new(),
            status,
            is_kept,
            whole: OnceCell::new(),
        }
    }

    /// Whether a condition is stored that equals this one in all that rules read.
    pub(super) fn has(&self, new: Condition<'_>) -> bool {
        if self.is_kept {
            return true;
        }
        let whole = self.whole.get_or_init(|| {
            let stored = self.status.into_iter().flat_map(|status| status.conditions.items());
            let mut whole: Vec<_> = stored.map(|(_, condition)| digest::of(condition)).collect();
            whole.sort_unstable();
            whole
        });
        !whole.is_empty() && whole.binary_search(&digest::of(new)).is_ok()
    }

    /// The stored condition of the same type: the one of the same status where there are several, else the first.
    pub(super) fn condition(&self, new: Condition<'_>) -> Option<Condition<'a>> {
        let kind = new.kind().text()?;
        self.unchanged(new).or_else(|| self.find(&self.by_kind, kind, |condition| condition.kind().text()))
    }

    /// The stored condition of the same type and status.
    pub(super) fn unchanged(&self, new: Condition<'_>) -> Option<Condition<'a>> {
        let key = (new.kind().text()?, new.status_value()?);
        self.find(&self.by_status, key, |condition| Some((condition.kind().text()?, condition.status_value()?)))
    }

    /// The first condition of that key.
    fn find<K: Ord>(
        &self,
        index: &OnceCell<Vec<u32>>,
        key: K,
        key_of: impl Fn(Condition<'a>) -> Option<K>,
    ) -> Option<Condition<'a>> {
        let conditions = self.conditions?;
        let at = |position: &u32| conditions.filled_at(*position);
        let key_at = |position: &u32| at(position).and_then(&key_of);
        let index = index.get_or_init(|| {
            let mut order: Vec<u32> = (0..conditions.filled_len()).collect();
            order.sort_unstable_by(|a, b| key_at(a).cmp(&key_at(b)).then(a.cmp(b)));
            order
        });
        let key = Some(key);
        let first = index.partition_point(|position| key_at(position) < key);
        index.get(first).filter(|position| key_at(position) == key).and_then(at)
    }
}

/// Fills in a field of a condition, unless the same condition is stored.
///
/// The API server lets a stored mistake pass only while everything next to it is unchanged: the condition, or the whole list
/// where the CRD has no list-map keys, as those that managers bundle. A default would be a change.
pub(super) fn fill_in<'a>(
    stored: &Stored<'a>,
    condition: Condition<'a>,
    place: impl Place<'a>,
    value: impl Into<Cow<'a, str>>,
    warning: Option<Cow<'static, str>>,
    reporter: &mut Reporter<'_, 'a>,
) {
    if !stored.has(condition) {
        reporter.fix(place, value, warning);
    }
}
