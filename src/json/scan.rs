//! Finds the ends of strings, lists and objects, 16 bytes at a time.

use wide::u8x16;

/// Number of bytes that one SIMD comparison covers.
const LANE: usize = 16;

/// Returns the position of a string's closing quote, and whether the string has escapes. `at` is inside the string.
///
/// Returns `None` if the string does not end or contains a control character.
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

/// Returns the position of the first quote, backslash or control character.
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

/// Returns the position after the closing bracket of a list or object. `at` is inside it.
///
/// It counts the brackets outside strings and does not check which kind closes which. Returns `None` if the list or object
/// does not end.
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

/// Positions of the structural characters in 64 bytes, as bit masks. The lowest bit is the first byte.
struct Block {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Block {
    const LENGTH: usize = 64;

    /// The only bit that differs between `{` and `[`, and between `}` and `]`.
    const CURLY: u8 = 0x20;

    /// Classifies the first 64 bytes. A shorter slice is padded with zeroes.
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

/// The state that carries over from one block to the next.
#[derive(Default)]
struct Strings {
    /// All ones if the next block begins inside a string, 0 otherwise.
    inside: u64,
    /// 1 if the first byte of the next block is escaped, 0 otherwise.
    escaped: u64,
}

impl Strings {
    /// Marks the bytes of the block that are inside strings. Opening quotes count as inside, closing quotes as outside.
    fn mask(&mut self, block: &Block) -> u64 {
        let quotes = block.quotes & !self.escapes(block.backslashes);
        // A bit is set if the number of quotes up to and including it is odd.
        let mut odd = quotes;
        for shift in [1, 2, 4, 8, 16, 32] {
            odd ^= odd << shift;
        }
        let inside = odd ^ self.inside;
        self.inside = if inside >> 63 == 1 { u64::MAX } else { 0 };
        inside
    }

    /// Marks the bytes that follow an unescaped backslash.
    fn escapes(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = self.escaped;
        self.escaped = 0;
        backslashes &= !escaped;
        while backslashes != 0 {
            let next = (backslashes & backslashes.wrapping_neg()) << 1;
            // A backslash in the last byte escapes the first byte of the next block.
            self.escaped = u64::from(next == 0);
            escaped |= next;
            backslashes = backslashes & (backslashes - 1) & !next;
        }
        escaped
    }
}
