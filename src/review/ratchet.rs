//! Only new problems block a write.

use crate::{digest, field_path::FieldPath, review::Problem};

/// What a rule finds in the stored object, by fingerprint of field path and value.
///
/// It must hold every finding: if one were missing, the unchanged object would be refused. A body may have very many, so a
/// finding takes eight bytes.
#[derive(Debug, Default)]
pub(super) struct StoredFindings {
    /// In the order of the findings at first; sorted, and each once, for look-ups.
    fingerprints: Vec<u64>,
    /// How many findings of the new object each still covers.
    left: Vec<u32>,
    /// Lists that are too long, with their lengths.
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

    /// Whether the stored object has no finding.
    pub(super) fn is_empty(&self) -> bool {
        self.fingerprints.is_empty() && self.lengths.is_empty()
    }

    /// Prepares look-ups, once all findings are added.
    pub(super) fn in_order(mut self) -> Self {
        self.fingerprints.sort_unstable();
        let count = |same: &[u64]| u32::try_from(same.len()).unwrap_or(u32::MAX);
        self.left = self.fingerprints.chunk_by(u64::eq).map(count).collect();
        self.fingerprints.dedup();
        self
    }

    /// Whether the stored object has the finding. Each stored one covers one new one, so a third duplicate is new where two were
    /// stored. A list that is too long may become shorter.
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
