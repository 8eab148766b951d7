//! Finds private keys and tokens in a text, even if they are wrapped.
//!
//! A key reaches a ClusterProfile inside a kubeconfig, behind one or more layers of base64, folded by YAML, or next to
//! a name. The search skips white space and collects runs of base64 letters. It groups each run in all four ways,
//! decodes the groups that look like text, and searches the result in the same way. A group looks like text if it
//! decodes to ASCII. The search decodes only eight or more such groups in a row, so it tests one group of eight.
//!
//! [`Sieve`] first rules out most texts, in a fraction of the time.
//!
//! The time is linear in the length of the text: each layer has three quarters of the length of the layer before, and
//! few runs look like text in more than one grouping. The memory is nearly four times the text.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    iter,
};

use crate::{
    digest,
    redact::{
        der,
        letters::{decoded, is_ascii, is_letter, rest_of, unfolded, unit},
        sieve::Sieve,
    },
};

/// Kind of a secret, in ascending order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Secret {
    /// A text shaped like a signed JSON Web Token (RFC 7519).
    Token,
    /// A private key of any kind: PEM, PGP, `PuTTY` or DER.
    PrivateKey,
}

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) secret: Secret,
    /// The secret alone, without white space. It does not depend on the text around it or on the wrapping. Never show
    /// it.
    pub(crate) text: String,
}

impl Found {
    /// Identifies the secret without showing it.
    pub(crate) fn digest(&self) -> u64 {
        digest::of((self.secret as u8, &self.text))
    }
}

/// Searches texts one after another and reuses its buffers.
#[derive(Default)]
pub(crate) struct Search {
    found: Vec<Found>,
    more: Option<(Secret, DefaultHasher)>,
    /// Whether only the kind of the worst secret matters, so that the search can stop at a private key.
    is_brief: bool,
    /// Whether to search texts that the sieve rules out. Tests compare the two results.
    is_unsieved: bool,
    sieve: Sieve,
    buffer: Vec<u8>,
}

/// Maximum layers of base64. The deepest nesting by mistake is a Secret's manifest copied into another Secret.
const LAYER_LIMIT: usize = 3;

/// Minimum length of a run to decode, in letters.
///
/// It is shorter than base64 of a PEM header, and longer than nearly all words, so that the search decodes little.
pub(super) const SHORTEST: usize = 32;

/// Maximum secrets of a text that are kept separately. The rest count as one secret.
const FOUND_LIMIT: usize = 32;

/// Returns the kind of the worst secret in `text` or behind base64 in it.
pub(crate) fn of(text: &str) -> Option<Secret> {
    let mut search = Search { is_brief: true, ..Search::default() };
    search.each(text).into_iter().map(|found| found.secret).max()
}

impl Search {
    /// A search without the sieve.
    #[cfg(test)]
    pub(super) fn unsieved() -> Self {
        Self { is_unsieved: true, ..Self::default() }
    }

    /// Whether the strings of a JSON text may hold a secret. `false` is certain.
    ///
    /// This is faster than reading the strings one by one.
    pub(crate) fn may_be_in(&mut self, json: &str) -> bool {
        // The sieve decodes all other escapes. This one may encode the first character of another escape.
        json.contains("\\u") || self.sieve.may_hold(json.as_bytes())
    }

    /// Returns every secret in `text` once.
    pub(crate) fn each(&mut self, text: &str) -> Vec<Found> {
        /// Length of `eyJ.eyJ.a`, the shortest token.
        const SHORTEST_TOKEN: usize = 9;
        if text.len() < SHORTEST_TOKEN || !(self.is_unsieved || self.sieve.may_hold(text.as_bytes())) {
            return Vec::new();
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(text.as_bytes());
        self.layer(&mut buffer, 0);
        self.buffer = buffer;
        let mut found = std::mem::take(&mut self.found);
        if let Some((secret, hasher)) = self.more.take() {
            found.push(Found { secret, text: format!("{:x}", hasher.finish()) });
        }
        found
    }

    /// Searches a text and overwrites it: moves the letters of a run to its start, so that they are contiguous.
    fn layer(&mut self, text: &mut [u8], depth: usize) {
        let (mut at, mut run, mut token_end) = (0, Run::default(), 0);
        while let Some((byte, next)) = unit(text, at) {
            at = next;
            match byte {
                None => run.word = 0,
                Some(byte) if is_letter(byte) => {
                    run.push(text, byte);
                    if matches!(byte, b'Y' | b'-')
                        && let Some(after) = run.key_header(text, at)
                    {
                        let end = end_of_key(text, after, byte);
                        self.add(Secret::PrivateKey, &unfolded(text.get(after..end).unwrap_or_default()));
                        (at, run) = (end, Run::default());
                    }
                }
                Some(_) => {
                    let is_dot = at > token_end && text.get(at - 1) == Some(&b'.');
                    let end = if is_dot { run.token(text, at) } else { None };
                    if let Some((start, end)) = end {
                        let header = run.letters(text).get(start..).unwrap_or_default();
                        let token = [header, text.get(at - 1..end).unwrap_or_default()].concat();
                        self.add(Secret::Token, &token);
                        // A key may follow a text that only looks like a token.
                        token_end = end;
                    }
                    self.run(run.letters(text), depth);
                    run = Run::default();
                }
            }
            if self.has_all() {
                return;
            }
        }
        self.run(run.letters(text), depth);
    }

    /// Decodes and searches a run of letters.
    fn run(&mut self, letters: &[u8], depth: usize) {
        if letters.len() < SHORTEST || depth == LAYER_LIMIT {
            return;
        }
        let mut at = 0;
        while let Some(found) = letters.get(at..).and_then(der::find) {
            let (start, end) = (at + found.0, at + found.1);
            self.add(Secret::PrivateKey, letters.get(start..end.min(letters.len())).unwrap_or_default());
            at = end;
        }
        for skipped in 0..4 {
            let (groups, rest) = letters.get(skipped..).unwrap_or_default().as_chunks::<4>();
            self.texts(groups, rest, depth);
        }
    }

    /// Searches the parts that look like text in this grouping.
    fn texts(&mut self, groups: &[[u8; 4]], rest: &[u8], depth: usize) {
        /// Groups in the shortest run to decode.
        const STEP: usize = SHORTEST / 4;
        let (mut at, mut done) = (0, 0);
        while let Some(group) = groups.get(at) {
            if !is_ascii(*group) {
                at += STEP;
                continue;
            }
            let before =
                groups.get(done..at).unwrap_or_default().iter().rev().take_while(|group| is_ascii(**group)).count();
            let after = groups.get(at..).unwrap_or_default().iter().take_while(|group| is_ascii(**group)).count();
            let (start, end) = (at - before, at + after);
            if end - start >= STEP {
                // The text may begin and end within a group.
                let whole = groups.get(start.saturating_sub(1)..(end + 1).min(groups.len())).unwrap_or_default();
                let mut text = Vec::with_capacity(whole.len() * 3 + 2);
                for group in whole {
                    text.extend_from_slice(&decoded(*group));
                }
                if end == groups.len() {
                    text.extend_from_slice(&rest_of(rest));
                }
                if self.is_unsieved || self.sieve.may_hold(&text) {
                    self.layer(&mut text, depth + 1);
                }
                if self.has_all() {
                    return;
                }
            }
            done = end;
            at = end + STEP;
        }
    }

    fn add(&mut self, secret: Secret, text: &[u8]) {
        let is_known = |found: &Found| found.secret == secret && found.text.as_bytes() == text;
        if self.found.iter().any(is_known) || self.is_brief && self.found.iter().any(|found| found.secret >= secret) {
            return;
        }
        if self.found.len() < FOUND_LIMIT {
            let text = if self.is_brief { String::new() } else { String::from_utf8_lossy(text).into_owned() };
            self.found.push(Found { secret, text });
        } else {
            let (most, hasher) = self.more.get_or_insert_with(|| (secret, DefaultHasher::new()));
            *most = secret.max(*most);
            text.hash(hasher);
        }
    }

    fn has_all(&self) -> bool {
        self.is_brief && self.found.iter().any(|found| found.secret == Secret::PrivateKey)
    }
}

/// Consecutive letters, with white space skipped.
#[derive(Clone, Copy, Default)]
struct Run {
    len: usize,
    /// Number of letters since the last white space.
    word: usize,
}

impl Run {
    /// Appends a letter. The text has space for it, because each letter takes at least one byte of the text.
    fn push(&mut self, text: &mut [u8], letter: u8) {
        if let Some(place) = text.get_mut(self.len) {
            *place = letter;
        }
        self.len += 1;
        self.word += 1;
    }

    fn letters(self, text: &[u8]) -> &[u8] {
        text.get(..self.len).unwrap_or_default()
    }

    /// If a private key's header ends at `at`, returns the position after it.
    ///
    /// The header may have `+` in place of spaces, as form data does.
    fn key_header(self, text: &[u8], at: usize) -> Option<usize> {
        /// Longer than `BEGINSSH2ENCRYPTED` and the kinds of all other headers.
        const KIND_LIMIT: usize = 32;
        let letters = self.letters(text);
        if letters.ends_with(b"PuTTY-User-Key-File-") {
            return Some(at);
        }
        let mut before = letters.iter().rev().filter(|byte| **byte != b'+').peekable();
        if !b"PRIVATEKEY".iter().rev().all(|letter| before.next() == Some(letter)) {
            return None;
        }
        let is_of_kind = |byte: &&u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let kind: Vec<_> = iter::from_fn(|| before.next_if(is_of_kind)).take(KIND_LIMIT).collect();
        if before.next() != Some(&b'-') || !kind.into_iter().rev().take(5).eq(b"BEGIN") {
            return None;
        }
        let mut after = at;
        for expected in [&b"BLOCK"[..], b"--"] {
            let (is_there, end) = takes(text, after, expected);
            if is_there {
                after = end;
            } else if expected == b"--" {
                return None;
            }
        }
        while let Some((Some(b'-'), next)) = unit(text, after) {
            after = next;
        }
        Some(after)
    }

    /// If a token's header ends before the dot that ends at `at`, returns the token's start in the run and its end in
    /// the text.
    fn token(self, text: &[u8], at: usize) -> Option<(usize, usize)> {
        /// Base64 of `{"`, the start of a JSON object.
        const OBJECT: &[u8] = b"eyJ";
        let length =
            |from: usize| text.get(from..).unwrap_or_default().iter().take_while(|byte| is_of_token(**byte)).count();
        if !text.get(at..)?.starts_with(OBJECT) {
            return None;
        }
        let word = self.letters(text).get(self.len - self.word..)?;
        let header = word.iter().rposition(|byte| !is_of_token(*byte)).map_or(0, |position| position + 1);
        let object = word.get(header..)?.windows(OBJECT.len()).position(|window| window == OBJECT)?;
        let payload = at + length(at);
        let signature = length(payload + 1);
        (text.get(payload) == Some(&b'.') && signature > 0)
            .then_some((self.len - self.word + header + object, payload + 1 + signature))
    }
}

/// Whether these letters follow, with white space and `+` skipped, and the position after them.
fn takes(text: &[u8], at: usize, expected: &[u8]) -> (bool, usize) {
    let (mut at, mut left) = (at, expected.iter());
    let mut letter = left.next();
    while let (Some(expected), Some((byte, next))) = (letter, unit(text, at)) {
        match byte {
            None | Some(b'+') => {}
            Some(byte) if byte == *expected => letter = left.next(),
            Some(_) => return (false, at),
        }
        at = next;
    }
    (letter.is_none(), at)
}

/// Returns the end of a key whose header ends with `last`.
///
/// The key ends before the next five dashes. A `PuTTY` key has no footer, so it ends with the text.
fn end_of_key(text: &[u8], start: usize, last: u8) -> usize {
    /// `-----END PRIVATE KEY-----`.
    const DASHES: usize = 5;
    let (mut at, mut dashes, mut end) = (start, 0, start);
    while let Some((byte, next)) = unit(text, at).filter(|_| last == b'Y') {
        if byte == Some(b'-') {
            end = if dashes == 0 { at } else { end };
            dashes += 1;
        } else if byte.is_some() {
            dashes = 0;
        }
        if dashes == DASHES {
            return end;
        }
        at = next;
    }
    text.len()
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
