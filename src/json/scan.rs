//! Finding where strings, lists and objects end, sixteen bytes at a time.

use wide::u8x16;

/// Bytes that are looked at together.
const LANE: usize = 16;

/// Where the string that `at` is in has its closing quote, and whether it has escapes.
///
/// None where it does not end, or has a control character.
pub(super) fn string_end(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        let stop = string_stop(bytes, at)?;
        match bytes.get(stop)? {
            b'"' => return Some((stop, escaped)),
            b'\\' => (at, escaped) = (stop + 2, true),
            _ => return None,
        }
    }
}

/// Where the first quote, backslash or control character is.
#[inline]
fn string_stop(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(lane) = bytes.get(at..)?.first_chunk::<LANE>() {
        let lane = u8x16::new(*lane);
        let stops =
            lane.simd_eq(u8x16::splat(b'"')) | lane.simd_eq(u8x16::splat(b'\\')) | lane.simd_lt(u8x16::splat(b' '));
        match stops.to_bitmask() {
            0 => at += LANE,
            stops => return Some(at + stops.trailing_zeros() as usize),
        }
    }
    let rest = bytes.get(at..)?;
    Some(at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?)
}

/// Where the list or object that `at` is in has ended.
///
/// Of what is in it, brackets are counted, those in strings left out. None where it does not end.
pub(super) fn container_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth: u64 = 1;
    let mut strings = Strings::default();
    loop {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let block = Block::of(rest);
        let outside = !strings.mask(&block);
        let (opening, closing) = (block.opening & outside, block.closing & outside);
        if u64::from(closing.count_ones()) < depth {
            depth = depth + u64::from(opening.count_ones()) - u64::from(closing.count_ones());
        } else {
            let mut brackets = opening | closing;
            while brackets != 0 {
                let bit = brackets & brackets.wrapping_neg();
                depth = if opening & bit == 0 { depth - 1 } else { depth + 1 };
                if depth == 0 {
                    return Some(at + bit.trailing_zeros() as usize + 1);
                }
                brackets ^= bit;
            }
        }
        at += Block::LENGTH;
    }
}

/// Where in 64 bytes what is: the first byte is the lowest bit.
struct Block {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Block {
    const LENGTH: usize = 64;

    /// The one bit in which `{` and `[` differ, and `}` and `]`.
    const CURLY: u8 = 0x20;

    /// The first 64 bytes, where there are fewer as if zeroes followed.
    fn of(bytes: &[u8]) -> Self {
        let mut padded = [0; Self::LENGTH];
        let bytes = bytes.first_chunk::<{ Self::LENGTH }>().unwrap_or_else(|| {
            padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            &padded
        });
        let mut block = Self { quotes: 0, backslashes: 0, opening: 0, closing: 0 };
        for (index, lane) in bytes.as_chunks::<LANE>().0.iter().enumerate() {
            let lane = u8x16::new(*lane);
            let at = |found: u8x16| u64::from(found.to_bitmask()) << (index * LANE);
            let square = lane & u8x16::splat(!Self::CURLY);
            block.quotes |= at(lane.simd_eq(u8x16::splat(b'"')));
            block.backslashes |= at(lane.simd_eq(u8x16::splat(b'\\')));
            block.opening |= at(square.simd_eq(u8x16::splat(b'[')));
            block.closing |= at(square.simd_eq(u8x16::splat(b']')));
        }
        block
    }
}

/// What the blocks so far say of the next one.
#[derive(Default)]
struct Strings {
    /// All ones where it begins in a string.
    inside: u64,
    /// One where its first byte is escaped.
    escaped: u64,
}

impl Strings {
    /// The bytes of the next block that are in strings, opening quotes with them.
    fn mask(&mut self, block: &Block) -> u64 {
        let quotes = block.quotes & !self.escapes(block.backslashes);
        // A bit is set where the number of quotes up to it is odd.
        let mut odd = quotes;
        for shift in [1, 2, 4, 8, 16, 32] {
            odd ^= odd << shift;
        }
        let inside = odd ^ self.inside;
        self.inside = if inside >> 63 == 1 { u64::MAX } else { 0 };
        inside
    }

    /// The bytes that a backslash stands before which is not escaped itself.
    fn escapes(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = self.escaped;
        self.escaped = 0;
        backslashes &= !escaped;
        while backslashes != 0 {
            let next = (backslashes & backslashes.wrapping_neg()) << 1;
            // The one that stands last escapes the first byte of the block after.
            self.escaped = u64::from(next == 0);
            escaped |= next;
            backslashes = backslashes & (backslashes - 1) & !next;
        }
        escaped
    }
}
