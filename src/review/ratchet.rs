//! Only what a write brings in counts.

use crate::{digest, field_path::FieldPath, review::Problem};

/// What a rule finds in the stored object, by fingerprint: at the same place, with the same value.
///
/// All of it must be here: a finding that is left out would make the unchanged object be refused. In a body of nothing but
/// mistakes they are many, so a finding is eight bytes of a list.
#[derive(Debug, Default)]
pub(super) struct StoredFindings {
    /// As they came; each once and in order when they are held against others.
    fingerprints: Vec<u64>,
    /// How often each may still be taken.
    left: Vec<u32>,
    /// Of lists that are too long: how long they are.
    lengths: Vec<(u64, usize)>,
}

impl StoredFindings {
    pub(super) fn add(&mut self, path: &FieldPath<'_>, problem: &Problem<'_>) {
        let fingerprint = fingerprint(path, problem);
        match problem {
            Problem::TooMany(count, _) => self.lengths.push((fingerprint, *count)),
            _ => self.fingerprints.push(fingerprint),
        }
    }

    /// Whether there is nothing to hold against.
    pub(super) fn is_empty(&self) -> bool {
        self.fingerprints.is_empty() && self.lengths.is_empty()
    }

    /// Once all are noted.
    pub(super) fn in_order(mut self) -> Self {
        self.fingerprints.sort_unstable();
        let count = |same: &[u64]| u32::try_from(same.len()).unwrap_or(u32::MAX);
        self.left = self.fingerprints.chunk_by(u64::eq).map(count).collect();
        self.fingerprints.dedup();
        self
    }

    /// Whether the stored object has it; once for each time, so a third duplicate is new where two were stored. A list that
    /// is too long may become shorter.
    pub(super) fn take(&mut self, path: &FieldPath<'_>, problem: &Problem<'_>) -> bool {
        let fingerprint = fingerprint(path, problem);
        if let Problem::TooMany(count, _) = problem {
            return self.lengths.iter().any(|(stored, length)| *stored == fingerprint && count <= length);
        }
        let position = self.fingerprints.binary_search(&fingerprint).ok();
        let left = position.and_then(|position| self.left.get_mut(position)).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }
}

fn fingerprint(path: &FieldPath<'_>, problem: &Problem<'_>) -> u64 {
    digest::below(path.digest(), problem.digest())
}
