//! Only what a write brings in counts.

use std::{collections::HashMap, hash::BuildHasher as _};

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
/// A fingerprint in place of the finding, since all of them must be here: one that is left out would make the unchanged
/// object be refused. The map's hasher, which makes them, has a random key: nobody can craft two findings of one
/// fingerprint, and by chance that happens once in billions of floods, so a verdict is still a function of its input.
#[derive(Debug, Default)]
pub(super) struct Noted(HashMap<u64, usize>);

impl Ratchet {
    /// What is noted, to be held against the findings of the new object.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Note(noted) => Self::Lower(noted),
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
        *self.0.entry(fingerprint).or_default() += count;
    }

    /// Whether the stored object has it; once for each time, so a third duplicate is new where two were stored.
    fn take(&mut self, rule: &Rule, path: &FieldPath<'_>, problem: &Problem<'_>) -> bool {
        let (fingerprint, count) = self.fingerprint(rule, path, problem);
        let left = self.0.get_mut(&fingerprint).and_then(|noted| Some((noted.checked_sub(count)?, noted)));
        left.map(|(left, noted)| *noted = left).is_some()
    }

    /// The fingerprint, and how often the stored object must have it: a list that is too long may become shorter.
    fn fingerprint(&self, rule: &Rule, path: &FieldPath<'_>, problem: &Problem<'_>) -> (u64, usize) {
        let hash = |problem: &Problem<'_>| self.0.hasher().hash_one((rule.name, path, problem));
        match problem {
            Problem::TooMany(count, limit) => (hash(&Problem::TooMany(0, *limit)), *count),
            other => (hash(other), 1),
        }
    }
}
