//! Random numbers for jitter and identifiers. Not for secrets.

use std::hash::{BuildHasher as _, RandomState};

/// A random number, from the keys that the standard library makes for hash maps.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}
