//! Finds private keys in base64 of DER, which has no PEM header.
//!
//! The formats are PKCS#8 (RFC 5958, `PrivateKeyInfo` and `EncryptedPrivateKeyInfo`), PKCS#1 (RFC 8017,
//! `RSAPrivateKey`) and SEC1 (RFC 5915, `ECPrivateKey`). The search compares only the first bytes of the structure.
//! Certificates, certificate requests, public keys and signatures begin with other bytes.

use crate::redact::letters::{decoded, value};

/// Number of base64 letters that are enough to recognize a key.
const HEAD_LETTERS: usize = 48;

/// Returns the start and the end of the first key, in letters.
///
/// The range includes a letter that the key shares with the text before or after it.
pub(super) fn find(letters: &[u8]) -> Option<(usize, usize)> {
    find_before(letters, letters.len())
}

fn find_before(letters: &[u8], end: usize) -> Option<(usize, usize)> {
    (0..end.min(letters.len())).find_map(|at| {
        let lead = lead(letters.get(at..)?)?;
        let start = at.checked_sub(lead)?;
        Some((start, start + length(letters.get(start..)?, lead)?))
    })
}

/// Whether a key begins near `at`, where its version or its algorithm was found.
#[inline(never)]
pub(super) fn is_near(letters: &[u8], at: usize) -> bool {
    /// Maximum distance in letters from the start of a key to its version and its algorithm.
    const MAX_DISTANCE: usize = 32;
    let start = at.saturating_sub(MAX_DISTANCE);
    letters.get(start..).is_some_and(|letters| find_before(letters, at + HEAD_LETTERS - start).is_some())
}

/// If a key may begin in these letters, returns the number of bytes before it in its group of three (0 to 2).
///
/// A key begins with 0x30. Its length follows: a byte from 0x20 to 0x7f, or 0x81 or 0x82.
fn lead(letters: &[u8]) -> Option<usize> {
    match letters {
        [b'M', b'C'..=b'I', ..] => Some(0),
        [b'D' | b'T' | b'j' | b'z', b'A'..=b'C', ..] => Some(1),
        [letter, b'w', b'I'..=b'Z' | b'a'..=b'g', ..] if value(*letter).trailing_zeros() >= 2 => Some(2),
        _ => None,
    }
}

/// Returns the length in letters of the key that begins after `lead` bytes.
fn length(letters: &[u8], lead: usize) -> Option<usize> {
    /// Number of letters that rule out most texts, so that the rest is decoded rarely.
    const START_LETTERS: usize = 12;
    let (start, _) = letters.get(..START_LETTERS)?.as_chunks::<4>();
    let mut bytes = [0; HEAD_LETTERS / 4 * 3];
    fill(&mut bytes, start);
    let (header, _) = sequence(bytes.get(lead..)?)?;
    if !matches!(bytes.get(lead + header..)?, [2, 1, 0 | 1, ..] | [0x30, ..]) {
        return None;
    }
    let (head, _) = letters.get(..HEAD_LETTERS.min(letters.len()))?.as_chunks::<4>();
    fill(&mut bytes, head);
    let (header, content) = sequence(bytes.get(lead..)?)?;
    let byte_at = |position: usize| {
        let (group, byte) = (letters.get((lead + header + position) / 3 * 4..)?, (lead + header + position) % 3);
        decoded(*group.first_chunk()?).get(byte).copied()
    };
    is_key(bytes.get(lead + header..)?, content, byte_at).then_some(((lead + header + content) * 4).div_ceil(3))
}

fn fill(bytes: &mut [u8], groups: &[[u8; 4]]) {
    let (places, _) = bytes.as_chunks_mut::<3>();
    places.iter_mut().zip(groups).for_each(|(place, group)| *place = decoded(*group));
}

/// Returns the length of a sequence's header and the length of its content, in bytes.
fn sequence(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes {
        [0x30, length @ 0x20..=0x7f, ..] => Some((2, usize::from(*length))),
        [0x30, 0x81, length @ 0x80..=0xff, ..] => Some((3, usize::from(*length))),
        [0x30, 0x82, high @ 1..=0xff, low, ..] => Some((4, usize::from(u16::from_be_bytes([*high, *low])))),
        _ => None,
    }
}

/// Whether the content of a sequence begins like a private key. `byte_at` returns a byte of the content, also past the head.
fn is_key(content: &[u8], length: usize, byte_at: impl Fn(usize) -> Option<u8>) -> bool {
    /// Common prefix of the object identifiers of PKCS #5 and PKCS #12: 1.2.840.113549.1.
    const PKCS: [u8; 7] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01];
    match content {
        // PKCS#1: version and modulus (for DSA, a prime) of at least 256 bits. Or PKCS#8 with long parameters.
        [2, 1, 0, 2, 0x20..=0x7f | 0x81..=0x82, ..]
        | [2, 1, 0 | 1, 0x30, 0x81, _, 6, ..]
        | [2, 1, 0 | 1, 0x30, 0x82, _, _, 6, ..] => true,
        // SEC1: version and a number of 160 to 528 bits.
        [2, 1, 1, 4, number @ 20..=66, ..] => length > usize::from(*number),
        // PKCS#8: version, algorithm, and the key as an octet string. A v1 certificate has a name after its algorithm.
        [2, 1, 0 | 1, 0x30, algorithm @ 5..=0x7f, 6, ..] => byte_at(5 + usize::from(*algorithm)) == Some(4),
        // Encrypted PKCS#8: an algorithm that encrypts with a password.
        [0x30, 5..=0x7f, 6, 9 | 10, rest @ ..] => match rest.strip_prefix(&PKCS) {
            Some(rest) => matches!(rest, [5, ..] | [12, 1, ..]),
            None => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

    use super::find;

    #[test]
    fn keys_begin_as_nothing_else_does() {
        let long = [0x55; 300];
        let with = |head: &[u8]| [head, &long].concat();
        let keys = [
            with(&[0x30, 0x82, 1, 0x0a, 2, 1, 0, 2, 0x81, 0x81]),
            with(&[0x30, 0x77, 2, 1, 1, 4, 32]),
            with(&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]),
            with(&[
                0x30, 0x82, 1, 9, 2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0, 4, 0x82,
            ]),
            with(&[0x30, 0x82, 1, 9, 0x30, 0x57, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 5, 13]),
        ];
        for key in keys {
            for before in 0..4 {
                let text = "x".repeat(before) + &STANDARD_NO_PAD.encode(&key);
                assert_eq!(find(text.as_bytes()).map(|(start, _)| start), Some(before), "{key:x?}");
                // The output of `cat cert.der key.der | base64`.
                let glued = [&vec![0xa0; before][..], &key].concat();
                assert!(find(STANDARD_NO_PAD.encode(glued).as_bytes()).is_some(), "{before}: {key:x?}");
            }
        }
        let others = [
            // Certificate, certificate requests, public keys, PKCS#7.
            with(&[0x30, 0x82, 1, 9, 0x30, 0x82, 1, 0, 0xa0, 3, 2, 1, 2, 2, 1, 1]),
            with(&[0x30, 0x82, 1, 9, 0x30, 0x82, 1, 0, 2, 1, 0, 0x30, 0x0c, 0x31, 10]),
            with(&[0x30, 0x81, 0xf7, 2, 1, 0, 0x30, 0x0c, 0x31, 10]),
            with(&[0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
            with(&[0x30, 0x82, 1, 0x22, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0, 3, 0x82]),
            // A v1 certificate with serial 1, signed by RSASSA-PSS.
            with(&[&[0x30, 0x82, 1, 9, 2, 1, 1, 0x30, 0x41, 6][..], &[0x2a; 0x40], &[0x30, 0x0c]].concat()),
            with(&[0x30, 0x82, 1, 9, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 2]),
        ];
        for other in others {
            let text = STANDARD_NO_PAD.encode(&other);
            assert_eq!(find(text.as_bytes()), None, "{other:x?}");
        }
    }
}
