//! Reads a text byte by byte without white space and escapes, and decodes letters of base64.

use std::ops::RangeInclusive;

/// Returns the byte at `at` and the position of the next unit, or `None` at the end of the text.
///
/// The byte is `None` for white space. An escape counts as the character that it encodes. White space includes zero
/// bytes, which fill up UTF-16; backslashes, which begin an escape; and bytes outside ASCII, which include invisible
/// characters and the white space of other scripts.
#[inline]
pub(super) fn unit(text: &[u8], at: usize) -> Option<(Option<u8>, usize)> {
    let byte = *text.get(at)?;
    Some(match byte {
        b'\\' | b'%' | b'&' => match escape(text, at, byte) {
            Some((code, next)) => (shown(code), next),
            None => (shown(byte.into()), at + 1),
        },
        _ => (shown(byte.into()), at + 1),
    })
}

fn shown(code: u32) -> Option<u8> {
    u8::try_from(code).ok().filter(|byte| !matches!(byte, b' ' | b'\t'..=b'\r' | b'\\' | 0 | 0x80..))
}

/// Decodes an escape of JSON, YAML, a URL or HTML. Returns the character and the end of the escape.
///
/// Decodes an escape that was escaped again in the same way, up to three times.
#[inline(never)]
fn escape(text: &[u8], at: usize, mark: u8) -> Option<(u32, usize)> {
    let again: &[u8] = match mark {
        b'%' => b"25",
        b'&' => b"amp;",
        // Of several backslashes, the last one begins the escape. The others are white space.
        _ => b"\\",
    };
    let mut at = at + 1;
    let mut before = None;
    for _ in 0..=REESCAPE_LIMIT {
        let rest = text.get(at..)?;
        let found = match mark {
            b'%' => number(rest, 2..=2, 16),
            b'&' => entity(rest),
            _ => escaped(rest),
        };
        let is_again = rest.starts_with(again);
        if let Some((code, length)) = found {
            before = Some((code, at + length));
        }
        if !is_again {
            break;
        }
        at += again.len();
    }
    before
}

/// Maximum times that an escape is escaped again. Tools do it less often.
const REESCAPE_LIMIT: usize = 3;

/// Decodes the part of an escape after the backslash. Returns the character and the length of the part.
fn escaped(rest: &[u8]) -> Option<(u32, usize)> {
    let digits = rest.get(1..).unwrap_or_default();
    let (code, length) = match rest.first()? {
        b'f' | b'n' | b'r' | b't' => (u32::from(b' '), 0),
        b'b' => (8, 0),
        b'u' => number(digits, 4..=4, 16)?,
        b'x' => number(digits, 2..=2, 16)?,
        _ => return None,
    };
    Some((code, length + 1))
}

/// Decodes the part of an HTML entity after the ampersand. Returns the character and the length of the part.
fn entity(rest: &[u8]) -> Option<(u32, usize)> {
    /// The named entities for white space and for letters of base64.
    const NAMES: [(&[u8], u8); 6] =
        [(b"nbsp;", b' '), (b"Tab;", b' '), (b"NewLine;", b' '), (b"plus;", b'+'), (b"sol;", b'/'), (b"lowbar;", b'_')];
    let (code, length) = match rest {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 1..=7, 16).map(|(code, length)| (code, length + 2))?,
        [b'#', digits @ ..] => number(digits, 1..=7, 10).map(|(code, length)| (code, length + 1))?,
        _ => {
            let (name, letter) = NAMES.into_iter().find(|(name, _)| rest.starts_with(name))?;
            return Some((letter.into(), name.len()));
        }
    };
    (rest.get(length) == Some(&b';')).then_some((code, length + 1))
}

/// Reads a number whose count of digits is within `lengths`. Returns the number and the count of digits.
fn number(text: &[u8], lengths: RangeInclusive<usize>, radix: u32) -> Option<(u32, usize)> {
    let digits = text.iter().take(*lengths.end()).map_while(|byte| char::from(*byte).to_digit(radix));
    let (code, length) = digits.fold((0, 0), |(code, length), digit| (code * radix + digit, length + 1));
    lengths.contains(&length).then_some((code, length))
}

/// Returns the text without white space and with its escapes decoded.
pub(super) fn unfolded(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    let mut at = 0;
    while let Some((byte, next)) = unit(text, at) {
        shown.extend(byte);
        at = next;
    }
    shown
}

/// Whether the byte is in one of the two base64 alphabets.
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

/// The base64 letters in order of their value. `-` and `_`, from the URL-safe alphabet, follow `+` and `/`.
const ALPHABETS: &[u8; 66] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";

/// Returns the six bits that a letter of either alphabet encodes.
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

/// Decodes four letters.
pub(super) fn decoded(group: [u8; 4]) -> [u8; 3] {
    let [a, b, c, d] = group.map(value);
    [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]
}

/// Whether the three bytes that the letters encode are ASCII.
pub(super) fn is_ascii(group: [u8; 4]) -> bool {
    let [a, b, c, _] = group.map(value);
    a & 0b10_0000 == 0 && b & 0b1000 == 0 && c & 0b10 == 0
}

/// Decodes the last two or three letters.
pub(super) fn rest_of(rest: &[u8]) -> Vec<u8> {
    let mut group = [b'A'; 4];
    group.iter_mut().zip(rest).for_each(|(place, letter)| *place = *letter);
    let mut bytes = decoded(group).to_vec();
    bytes.truncate(rest.len().saturating_sub(1));
    bytes
}
