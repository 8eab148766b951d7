//! What a text shows byte by byte, and what letters of base64 stand for.

use std::ops::RangeInclusive;

/// What is shown at `at`, nothing where that is white space, and where the next begins; none at the end of the text.
///
/// White space is also a zero byte, which is half of UTF-16; a backslash, which begins an escape; and whatever is not ASCII:
/// the white space of other scripts, and characters that nobody sees. An escape shows what it stands for.
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

/// The character that an escape of JSON or YAML, of a URL or of HTML stands for, and where it ends.
///
/// One that was escaped again in the same way stands for the same, up to three times.
#[inline(never)]
fn escape(text: &[u8], at: usize, mark: u8) -> Option<(u32, usize)> {
    let again: &[u8] = match mark {
        b'%' => b"25",
        b'&' => b"amp;",
        // Each backslash of several is white space, the last an escape.
        _ => b"\\",
    };
    let mut at = at + 1;
    let mut before = None;
    for _ in 0..=MOST_AGAIN {
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

/// More often than tools escape what is escaped already.
const MOST_AGAIN: usize = 3;

/// What follows a backslash.
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

/// What follows an ampersand.
fn entity(rest: &[u8]) -> Option<(u32, usize)> {
    /// Those for white space and for letters of base64.
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

/// A number of so many digits, and how many there are.
fn number(text: &[u8], lengths: RangeInclusive<usize>, radix: u32) -> Option<(u32, usize)> {
    let digits = text.iter().take(*lengths.end()).map_while(|byte| char::from(*byte).to_digit(radix));
    let (code, length) = digits.fold((0, 0), |(code, length), digit| (code * radix + digit, length + 1));
    lengths.contains(&length).then_some((code, length))
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
