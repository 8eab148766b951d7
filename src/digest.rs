//! Digests, to compare values without keeping them.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    sync::LazyLock,
};

/// A number that two values share only if they are equal, but for a chance of one in 2^64.
///
/// Its key is random and stays in this process: an attacker cannot craft two values with one digest, and a digest reveals nothing
/// of the value, which may be a secret. Not suitable for anything that outlives the process.
pub(crate) fn of(value: impl Hash) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(value)
}

/// A digest of a name that the API gives a field: cheap, because there are few of them and no client chooses them.
pub(crate) fn of_name(name: &'static str) -> u64 {
    /// FNV-1a, 64 bits.
    const START: u64 = 0xCBF2_9CE4_8422_2325;
    const FACTOR: u64 = 0x0100_0000_01B3;
    name.bytes().fold(START, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(FACTOR))
}

/// The digest of a child, from its own digest and its parent's.
pub(crate) fn below(parent: u64, child: u64) -> u64 {
    /// 2^64 divided by the golden ratio, made odd: a product by it spreads each bit over the higher ones.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    (parent.rotate_left(23) ^ child).wrapping_mul(SPREAD)
}
