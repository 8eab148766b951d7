//! Only what a write brings in counts.

use std::{
    hash::{BuildHasher as _, RandomState},
    iter,
};

use super::{Level, Problem, Rule};
use crate::field::FieldPath;

/// What becomes of the findings of a run.
#[derive(Debug, Default)]
pub(super) enum Ratchet {
    /// They keep their level.
    #[default]
    Off,
    /// They are those of the stored object: noted, and silent.
    Note(Noted),
    /// They are one level lower where the stored object has them already.
    Lower(Noted),
}

/// Findings of the stored object by fingerprint: of the same rule, at the same place, with the same value.
///
/// All of them must be here: one that is left out would make the unchanged object be refused. In a body of nothing but
/// mistakes they are millions, so a finding is eight bytes of a list. The hasher has a random key: nobody can craft two
/// findings of one fingerprint, and by chance that happens once in billions of floods, so a verdict is still a function of
/// its input.
#[derive(Debug, Default)]
pub(super) struct Noted {
    hasher: RandomState,
    /// As they came; each once and in order when they are held against others.
    fingerprints: Vec<u64>,
    /// How often each may still be taken.
    left: Vec<usize>,
}

impl Ratchet {
    /// What is noted, to be held against the findings of the new object.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Note(noted) => Self::Lower(noted.in_order()),
            other => other,
        }
    }

    /// The level that a finding is left with.
    pub(super) fn weigh(&mut self, rule: &Rule, level: Level, path: &FieldPath<'_>, problem: &Problem<'_>) -> Level {
        match self {
            Self::Off => level,
            Self::Note(noted) => {
                noted.add(rule, path, problem);
                Level::Silent
            }
            Self::Lower(noted) => {
                if noted.take(rule, path, problem) {
                    level.lowered()
                } else {
                    level
                }
            }
        }
    }
}

impl Noted {
    fn add(&mut self, rule: &Rule, path: &FieldPath<'_>, problem: &Problem<'_>) {
        let (fingerprint, count) = self.fingerprint(rule, path, problem);
        self.fingerprints.extend(iter::repeat_n(fingerprint, count));
    }

    fn in_order(mut self) -> Self {
        self.fingerprints.sort_unstable();
        self.left = self.fingerprints.chunk_by(u64::eq).map(<[u64]>::len).collect();
        self.fingerprints.dedup();
        self
    }

    /// Whether the stored object has it; once for each time, so a third duplicate is new where two were stored.
    fn take(&mut self, rule: &Rule, path: &FieldPath<'_>, problem: &Problem<'_>) -> bool {
        let (fingerprint, count) = self.fingerprint(rule, path, problem);
        let position = self.fingerprints.binary_search(&fingerprint).ok();
        let left = position.and_then(|position| self.left.get_mut(position)).filter(|left| **left >= count);
        left.map(|left| *left -= count).is_some()
    }

    /// The fingerprint, and how often the stored object must have it: a list that is too long may become shorter.
    fn fingerprint(&self, rule: &Rule, path: &FieldPath<'_>, problem: &Problem<'_>) -> (u64, usize) {
        let hash = |problem: &Problem<'_>| self.hasher.hash_one((rule.name, path, problem));
        match problem {
            Problem::TooMany(count, limit) => (hash(&Problem::TooMany(0, *limit)), *count),
            other => (hash(other), 1),
        }
    }
}
