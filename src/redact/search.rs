//! Finds private keys and tokens in a text, however they are wrapped.
//!
//! A key reaches a ClusterProfile inside a kubeconfig, behind base64, behind base64 again, folded by YAML, glued to a name. So
//! a text is gone through without its white space, and of every run of base64 letters that is left what looks like text in one
//! of the four ways to group them is decoded and gone through again. Decoding needs no more than that a text behind base64 has
//! no byte past ASCII: one look at four letters of 32 tells the rest from noise. Of most texts a sieve tells at a fraction of
//! that time that they hold nothing.
//!
//! Linear: each layer is three quarters of the one before, and hardly any letters look like text in more than one way. Needs
//! nearly four times the text in memory.

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

/// What a text gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Secret {
    /// Something of the shape of a signed JSON Web Token (RFC 7519).
    Token,
    /// A private key of any kind: PEM, PGP, `PuTTY` or DER.
    PrivateKey,
}

/// A secret that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) secret: Secret,
    /// The secret alone, without white space: the same wherever it stands and however it is wrapped. Never shown.
    pub(crate) text: String,
}

impl Found {
    /// A digest by which it is known again.
    pub(crate) fn digest(&self) -> u64 {
        digest::of((self.secret as u8, &self.text))
    }
}

/// Searches one text after the other.
#[derive(Default)]
pub(crate) struct Search {
    found: Vec<Found>,
    more: Option<(Secret, DefaultHasher)>,
    /// Whether it is enough to know what there is.
    is_brief: bool,
    /// Whether texts are gone through that the sieve rules out: what tests compare with.
    is_unsieved: bool,
    sieve: Sieve,
    buffer: Vec<u8>,
}

/// A Secret's manifest copied into a Secret is the deepest that people nest by mistake.
const LAYERS: usize = 3;

/// base64 of less than a PEM header; also longer than nearly all words, so that hardly any text is decoded.
pub(super) const SHORTEST: usize = 32;

/// Most secrets of a text that are told apart: what is past them counts as one.
const MOST: usize = 32;

/// What `text`, or what is behind base64 in it, gives away.
pub(crate) fn of(text: &str) -> Option<Secret> {
    let mut search = Search { is_brief: true, ..Search::default() };
    search.each(text).into_iter().map(|found| found.secret).max()
}

impl Search {
    /// One that goes through every text.
    #[cfg(test)]
    pub(super) fn unsieved() -> Self {
        Self { is_unsieved: true, ..Self::default() }
    }

    /// Whether the strings of a JSON text may give something away; a no is certain. Takes less than to read them one by one.
    pub(crate) fn may_be_in(&mut self, json: &str) -> bool {
        // All other escapes are read as what they stand for. This one may stand for what begins another escape.
        json.contains("\\u") || self.sieve.may_hold(json.as_bytes())
    }

    /// Every secret in `text`, each once.
    pub(crate) fn each(&mut self, text: &str) -> Vec<Found> {
        /// `eyJ.eyJ.a`, the shortest of them.
        const LEAST: usize = 9;
        if text.len() < LEAST || !(self.is_unsieved || self.sieve.may_hold(text.as_bytes())) {
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

    /// Goes through a text, which it overwrites: the letters of a run move to its beginning, so that the run is whole.
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
                        // A key may hide behind what only looks like a token.
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

    /// Looks behind base64.
    fn run(&mut self, letters: &[u8], depth: usize) {
        if letters.len() < SHORTEST || depth == LAYERS {
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

    /// Goes through what is text if the letters are grouped like this.
    fn texts(&mut self, groups: &[[u8; 4]], rest: &[u8], depth: usize) {
        /// So many groups are no shorter than the shortest text that is looked for.
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
                // Text may begin and end within a group.
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
        if self.found.len() < MOST {
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

/// Letters that follow each other but for white space.
#[derive(Clone, Copy, Default)]
struct Run {
    len: usize,
    /// How many of them there are since the last white space.
    word: usize,
}

impl Run {
    /// Takes a letter; there are never more than bytes that were read.
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

    /// Where what follows the header of a private key begins, if one ends at `at`. In a form its spaces are `+`.
    fn key_header(self, text: &[u8], at: usize) -> Option<usize> {
        /// Longer than `BEGINSSH2ENCRYPTED` and all others.
        const KIND: usize = 32;
        let letters = self.letters(text);
        if letters.ends_with(b"PuTTY-User-Key-File-") {
            return Some(at);
        }
        let mut before = letters.iter().rev().filter(|byte| **byte != b'+').peekable();
        if !b"PRIVATEKEY".iter().rev().all(|letter| before.next() == Some(letter)) {
            return None;
        }
        let is_of_kind = |byte: &&u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let kind: Vec<_> = iter::from_fn(|| before.next_if(is_of_kind)).take(KIND).collect();
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

    /// Where a token begins in the run, and where it ends, if its header ends before the dot that ends at `at`.
    fn token(self, text: &[u8], at: usize) -> Option<(usize, usize)> {
        /// How a JSON object begins in base64.
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

/// Whether these letters follow but for white space and `+`, and where they end.
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

/// Where a key ends of which the header ended with `last`: before the next dashes; that of `PuTTY` has none.
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
