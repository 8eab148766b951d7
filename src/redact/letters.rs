//! What a text shows byte by byte, and what letters of base64 stand for.

/// What is shown at `at`, nothing where that is white space, and where the next begins; none at the end of the text.
///
/// White space is also a backslash, which is half of it where a text was quoted, and a zero byte, which is half of UTF-16.
#[inline]
pub(super) fn unit(text: &[u8], at: usize) -> Option<(Option<u8>, usize)> {
    let byte = *text.get(at)?;
    let next = at + 1;
    Some(match byte {
        b'\\' if matches!(text.get(next), Some(b'n' | b'r' | b't')) => (None, next + 1),
        b' ' | b'\t'..=b'\r' | b'\\' | 0 => (None, next),
        _ => (Some(byte), next),
    })
}

/// A text without its white space.
pub(super) fn unfolded(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    let mut at = 0;
    while let Some((byte, next)) = unit(text, at) {
        shown.extend(byte);
        at = next;
    }
    shown
}

/// Whether it is a letter of one of base64's two alphabets.
#[inline]
pub(super) fn is_letter(byte: u8) -> bool {
    const LETTERS: [bool; 256] = {
        let mut letters = [false; 256];
        let mut at = 0;
        while at < ALPHABETS.len() {
            #[expect(clippy::indexing_slicing, reason = "of a byte")]
            {
                letters[ALPHABETS[at] as usize] = true;
            }
            at += 1;
        }
        letters
    };
    LETTERS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The letters of base64 in their order, those of its second alphabet behind those that they stand for.
const ALPHABETS: &[u8; 66] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";

/// What a letter of either alphabet stands for.
pub(super) fn value(letter: u8) -> u8 {
    const VALUES: [u8; 256] = {
        let mut values = [0; 256];
        let mut at = 0;
        while at < ALPHABETS.len() {
            #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "below 66, of a byte")]
            {
                values[ALPHABETS[at] as usize] = if at < 64 { at as u8 } else { at as u8 - 2 };
            }
            at += 1;
        }
        values
    };
    VALUES.get(usize::from(letter)).copied().unwrap_or_default()
}

/// The bytes that four letters stand for.
pub(super) fn decoded(group: [u8; 4]) -> [u8; 3] {
    let [a, b, c, d] = group.map(value);
    [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]
}

/// Whether they stand for ASCII: none of three bytes has its highest bit.
pub(super) fn is_ascii(group: [u8; 4]) -> bool {
    let [a, b, c, _] = group.map(value);
    a & 0b10_0000 == 0 && b & 0b1000 == 0 && c & 0b10 == 0
}

/// The bytes that two or three last letters stand for.
pub(super) fn rest_of(rest: &[u8]) -> Vec<u8> {
    let mut group = [b'A'; 4];
    group.iter_mut().zip(rest).for_each(|(place, letter)| *place = *letter);
    let mut bytes = decoded(group).to_vec();
    bytes.truncate(rest.len().saturating_sub(1));
    bytes
}
