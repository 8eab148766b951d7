//! Rules out most texts that give nothing away, 32 bytes at a time.

use wide::u8x16;

use crate::redact::{
    der,
    letters::{is_ascii, is_letter, unit},
    search::SHORTEST,
};

/// Bytes that are looked at together.
const BLOCK: usize = 32;

/// Rules out texts that lack what every secret has.
///
/// A secret has the header of a key, the second object of a token, the version or the algorithm of a key in DER, or it is
/// behind letters of which [`SHORTEST`] in a row stand for ASCII. Takes six instructions for each byte of a plain text; the
/// search takes eighty. Holds for any bytes, so for what is behind base64, too.
#[derive(Default)]
pub(super) struct Sieve {
    /// The text without its white space, and room behind it.
    shown: Vec<u8>,
}

impl Sieve {
    /// Whether the text may give something away; a no is certain.
    pub(super) fn may_hold(&mut self, text: &[u8]) -> bool {
        let len = self.unfold(text);
        let shown = self.shown.get(..len + ROOM).unwrap_or_default();
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
            // Of the last 64 bytes, where groups of four letters follow each other of which each may stand for ASCII.
            starts = starts >> BLOCK | u64::from(both(block, may_start_ascii)) << BLOCK;
            let mut runs = starts & starts >> 4;
            runs &= runs >> 8;
            runs &= runs >> 16;
            // Those of which the last group begins in this block, the others having been looked at.
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

    /// Takes the text without its white space; returns how long that is.
    fn unfold(&mut self, text: &[u8]) -> usize {
        if self.shown.len() < text.len() + ROOM {
            self.shown.resize(text.len() + ROOM, 0);
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
        if let Some(room) = shown.get_mut(len..).and_then(<[u8]>::first_chunk_mut::<ROOM>) {
            *room = [0; ROOM];
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

/// Puts what is shown at `at` behind the bytes before; returns where the next is, and how many bytes there are.
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

/// Zeros behind a text, so that a block may begin at its last byte.
const ROOM: usize = BLOCK + 1;

/// Where bytes stand that [`unit`] does not take as they are, and some that it does.
#[inline]
fn folds(block: &[u8; BLOCK]) -> u32 {
    let [low, high] = [lane::<0>(block), lane::<LANE>(block)].map(|lane| {
        let marks = lane.simd_eq(u8x16::splat(b'\\')) | is_all_but(b'%' ^ b'&', lane, b'%');
        // Of a byte past ASCII the highest bit is set, which is all that a mask of bits is made of.
        (at_most(lane, b' ') | marks | lane).to_bitmask()
    });
    low | high << LANE
}

/// Where `holds` of a byte and the next one.
#[inline]
fn both(block: &[u8; BLOCK + 1], holds: fn(u8x16, u8x16) -> u8x16) -> u32 {
    let low = holds(lane::<0>(block), lane::<1>(block)).to_bitmask();
    low | holds(lane::<LANE>(block), lane::<{ LANE + 1 }>(block)).to_bitmask() << LANE
}

const LANE: usize = 16;

fn lane<const AT: usize>(block: &[u8]) -> u8x16 {
    u8x16::new(block.get(AT..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default())
}

/// Of two bytes that may be a part of what [`is_sign`] looks for.
#[inline]
fn signs(lane: u8x16, next: u8x16) -> u8x16 {
    let is = |byte: u8| lane.simd_eq(u8x16::splat(byte));
    let next_is = |byte: u8| next.simd_eq(u8x16::splat(byte));
    let is_mark = is_all_but(b'I' ^ b'K', lane, b'I') | at_most(lane - u8x16::splat(b'-'), b'0' - b'-');
    is_mark & (next_is(b'B') | next_is(b'e'))
        | is_all_but(b'A' ^ b'D', lane, b'A') & next_is(b'Q')
        | is(b'g') & next_is(b'E')
}

/// Of bytes that differ from `byte` in no other than these bits: a step less than to ask for each, at the price of some more.
#[inline]
fn is_all_but(bits: u8, lane: u8x16, byte: u8) -> u8x16 {
    (lane & u8x16::splat(!bits)).simd_eq(u8x16::splat(byte & !bits))
}

/// Whether what every key and token has stands around `at`.
///
/// Headers have `-BEGIN` or `PuTTY-User-Key`, and tokens a second object. In base64 the version of a key in DER (2, 1, 0 or 2,
/// 1, 1) is `AgEA`, `IBA` or `CAQ`, by the group of bytes that it begins in; and the algorithm of one that is encrypted holds
/// `NAQ`, `DQE` or `w0B`.
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

/// Of a letter that may be the first of four that stand for ASCII: `A` to `Z`, `a` to `f`, and what is between.
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
