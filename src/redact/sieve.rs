//! Rules out most texts without a secret, 32 bytes at a time.

use wide::u8x16;

use crate::redact::{
    der,
    letters::{is_ascii, is_letter, unit},
    search::SHORTEST,
};

/// Number of bytes that are tested together.
const BLOCK: usize = 32;

/// Rules out texts that lack the marks of a secret.
///
/// Each secret has one of these marks: the header of a key, the second object of a token, the version or the algorithm
/// of a key in DER, or [`SHORTEST`] consecutive base64 letters that decode to ASCII. The sieve takes six instructions
/// for each byte of a plain text; the search takes eighty. It accepts any bytes, so it also tests decoded base64.
#[derive(Default)]
pub(super) struct Sieve {
    /// The text without white space, followed by zeros.
    shown: Vec<u8>,
}

impl Sieve {
    /// Whether the text may hold a secret. `false` is certain.
    pub(super) fn may_hold(&mut self, text: &[u8]) -> bool {
        let len = self.unfold(text);
        let shown = self.shown.get(..len + PADDING).unwrap_or_default();
        let (mut at, mut starts) = (0, 0);
        while at < len {
            let Some(block) = shown.get(at..).and_then(<[u8]>::first_chunk) else { break };
            let mut signs = both(block, signs);
            while signs != 0 {
                if is_sign(shown, at + signs.trailing_zeros() as usize) {
                    return true;
                }
                signs &= signs - 1;
            }
            // One bit for each of the last 64 bytes: set in `starts` if a group that may decode to ASCII begins there,
            // and in `runs` if that group and the seven after it may.
            starts = starts >> BLOCK | u64::from(both(block, may_start_ascii)) << BLOCK;
            let mut runs = starts & starts >> 4;
            runs &= runs >> 8;
            runs &= runs >> 16;
            // Earlier blocks have tested the runs whose last group begins before this block.
            runs &= 0xffff_ffff << (BLOCK - (SHORTEST - 4));
            while runs != 0 {
                if stands_for_ascii(shown, at + runs.trailing_zeros() as usize - BLOCK) {
                    return true;
                }
                runs &= runs - 1;
            }
            at += BLOCK;
        }
        false
    }

    /// Copies the text without white space, and returns the length of the copy.
    fn unfold(&mut self, text: &[u8]) -> usize {
        if self.shown.len() < text.len() + PADDING {
            self.shown.resize(text.len() + PADDING, 0);
        }
        let shown = self.shown.as_mut_slice();
        let (mut at, mut len) = (0, 0);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let count = rest.len().min(BLOCK);
            let block = rest.first_chunk().copied().unwrap_or_else(|| padded(rest));
            if let Some(place) = shown.get_mut(len..).and_then(<[u8]>::first_chunk_mut) {
                *place = block;
            }
            let plain = folds(&block).trailing_zeros() as usize;
            (at, len) =
                if plain < count { put(text, at + plain, shown, len + plain) } else { (at + count, len + count) };
        }
        if let Some(padding) = shown.get_mut(len..).and_then(<[u8]>::first_chunk_mut::<PADDING>) {
            *padding = [0; PADDING];
        }
        len
    }
}

fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    if let Some(place) = block.get_mut(..rest.len()) {
        place.copy_from_slice(rest);
    }
    block
}

/// Appends the unit at `at`. Returns the position of the next unit and the new length.
#[inline]
fn put(text: &[u8], at: usize, shown: &mut [u8], len: usize) -> (usize, usize) {
    let Some((byte, next)) = unit(text, at) else { return (text.len(), len) };
    match (byte, shown.get_mut(len)) {
        (Some(byte), Some(place)) => {
            *place = byte;
            (next, len + 1)
        }
        _ => (next, len),
    }
}

/// Number of zeros after the text, so that a block may begin at its last byte.
const PADDING: usize = BLOCK + 1;

/// Marks the bytes that need [`unit`], and a few that [`unit`] would copy unchanged.
#[inline]
fn folds(block: &[u8; BLOCK]) -> u32 {
    let [low, high] = [lane::<0>(block), lane::<LANE>(block)].map(|lane| {
        let marks = lane.simd_eq(u8x16::splat(b'\\')) | is_all_but(b'%' ^ b'&', lane, b'%');
        // `to_bitmask` takes the highest bit of each byte. A byte outside ASCII has it set.
        (at_most(lane, b' ') | marks | lane).to_bitmask()
    });
    low | high << LANE
}

/// Marks the bytes for which `holds` is true of the byte and the next one.
#[inline]
fn both(block: &[u8; BLOCK + 1], holds: fn(u8x16, u8x16) -> u8x16) -> u32 {
    let low = holds(lane::<0>(block), lane::<1>(block)).to_bitmask();
    low | holds(lane::<LANE>(block), lane::<{ LANE + 1 }>(block)).to_bitmask() << LANE
}

const LANE: usize = 16;

fn lane<const AT: usize>(block: &[u8]) -> u8x16 {
    u8x16::new(block.get(AT..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default())
}

/// Marks pairs of bytes that may belong to a mark that [`is_sign`] recognizes.
#[inline]
fn signs(lane: u8x16, next: u8x16) -> u8x16 {
    let is = |byte: u8| lane.simd_eq(u8x16::splat(byte));
    let next_is = |byte: u8| next.simd_eq(u8x16::splat(byte));
    let is_mark = is_all_but(b'I' ^ b'K', lane, b'I') | at_most(lane - u8x16::splat(b'-'), b'0' - b'-');
    is_mark & (next_is(b'B') | next_is(b'e'))
        | is_all_but(b'A' ^ b'D', lane, b'A') & next_is(b'Q')
        | is(b'g') & next_is(b'E')
}

/// Marks bytes that differ from `byte` only in `bits`.
///
/// This saves an instruction compared with a test for each byte, and marks a few bytes more.
#[inline]
fn is_all_but(bits: u8, lane: u8x16, byte: u8) -> u8x16 {
    (lane & u8x16::splat(!bits)).simd_eq(u8x16::splat(byte & !bits))
}

/// Whether the text around `at` has a mark of a key or a token.
///
/// Headers have `-BEGIN` or `PuTTY-User-Key`, and tokens have a second object. The version of a key in DER (2, 1, 0 or
/// 2, 1, 1) is `AgEA`, `IBA` or `CAQ` in base64, depending on its offset in the group. The algorithm of an encrypted
/// key holds `NAQ`, `DQE` or `w0B`.
#[inline]
fn is_sign(shown: &[u8], at: usize) -> bool {
    let after = shown.get(at..).unwrap_or_default();
    match (at.checked_sub(1).and_then(|before| shown.get(before)), after) {
        (_, [b'-', ..]) => after.starts_with(b"-BEGIN"),
        (_, [b'K', ..]) => after.starts_with(b"Key-File-"),
        (_, [b'.', ..]) => after.starts_with(b".eyJ"),
        (Some(b'A'), [b'g', b'E', b'A' | b'B', ..])
        | (Some(b'C' | b'N'), [b'A', b'Q', ..])
        | (Some(b'w'), [b'0', b'B', ..])
        | (_, [b'I', b'B', b'A', ..] | [b'D', b'Q', b'E', ..]) => der::is_near(shown, at),
        _ => false,
    }
}

/// Marks letters that may begin a group that decodes to ASCII: `A` to `f`, with the six characters between `Z` and `a`.
#[inline]
fn may_start_ascii(lane: u8x16, _: u8x16) -> u8x16 {
    at_most(lane - u8x16::splat(b'A'), b'f' - b'A')
}

fn stands_for_ascii(shown: &[u8], at: usize) -> bool {
    let letters = shown.get(at..).and_then(<[u8]>::first_chunk::<SHORTEST>);
    letters.is_some_and(|letters| {
        letters.as_chunks().0.iter().all(|group| is_ascii(*group)) && letters.iter().all(|letter| is_letter(*letter))
    })
}

#[inline]
fn at_most(lane: u8x16, most: u8) -> u8x16 {
    lane.simd_lt(u8x16::splat(most + 1))
}

#[cfg(test)]
mod tests {
    use super::Sieve;

    #[test]
    fn plain_texts_are_ruled_out() {
        let texts = [
            "",
            "https://spoke-1.example.com:6443/a?b=c",
            "the kubelet has 3 conditions: Ready, MemoryPressure and DiskPressure are reported every 10 s",
            "7741cc95-592a-48c3-aa98-b88611e6e270",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "open-cluster-management.io/agent.v1.19.eu-central-1",
        ];
        for text in texts {
            assert!(!Sieve::default().may_hold(text.as_bytes()), "{text}");
        }
    }
}
