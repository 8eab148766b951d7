//! Reads DER as Go's `cryptobyte` does: tags of one byte, lengths of up to four bytes in their shortest form.

/// The bytes that are not read yet.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

pub(super) const BOOLEAN: u8 = 1;
pub(super) const INTEGER: u8 = 2;
pub(super) const BIT_STRING: u8 = 3;
pub(super) const OCTET_STRING: u8 = 4;
pub(super) const OBJECT_IDENTIFIER: u8 = 6;
pub(super) const UTC_TIME: u8 = 23;
pub(super) const GENERALIZED_TIME: u8 = 24;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Returns the tag that specifications write as `[0]`.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// Returns the same tag for an element that contains other elements.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

impl<'a> Der<'a> {
    /// Reads the tag and the content of the next element.
    pub(super) fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&short, mut rest) = rest.split_first().filter(|_| tag & 0x1f != 0x1f)?;
        let mut length = usize::from(short);
        if short >= 0x80 {
            let (bytes, after) =
                rest.split_at_checked(usize::from(short & 0x7f)).filter(|_| (0x81..=0x84).contains(&short))?;
            length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            if length < 0x80 || bytes.first() == Some(&0) {
                return None;
            }
            rest = after;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// Reads the content of the next element, which must have this tag.
    pub(super) fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.is(tag) { Some(self.any()?.1) } else { None }
    }

    /// Reads the next element, which must have this tag, and returns a reader of its content.
    pub(super) fn inside(&mut self, tag: u8) -> Option<Self> {
        self.read(tag).map(Der)
    }

    /// Reads the content of the next element if it has this tag, else returns an empty slice.
    pub(super) fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.is(tag) { self.read(tag) } else { Some(&[]) }
    }

    /// Whether the next element has this tag.
    pub(super) fn is(self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Reads an integer, which must be in its shortest form.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        shortest(self.read(INTEGER)?)
    }

    /// Reads an integer of at most 8 bytes.
    pub(super) fn small(&mut self) -> Option<i64> {
        register(self.integer()?)
    }

    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self.read(BOOLEAN)? {
            [0] => Some(false),
            [0xff] => Some(true),
            _ => None,
        }
    }

    /// Reads an object identifier, whose numbers must be below 2^31.
    pub(super) fn object(&mut self) -> Option<&'a [u8]> {
        let bytes = self.read(OBJECT_IDENTIFIER)?;
        let is_end = |byte: &u8| byte & 0x80 == 0;
        let is_sound = bytes.last().is_some_and(is_end)
            && bytes.split_inclusive(is_end).all(|number| {
                number.first() != Some(&0x80)
                    && number.len() <= 5
                    && number.iter().fold(0, |value: u64, byte| value << 7 | u64::from(byte & 0x7f)) < 1 << 31
            });
        is_sound.then_some(bytes)
    }

    /// Reads a bit string, aligned to the right in whole bytes.
    pub(super) fn bits(&mut self) -> Option<Vec<u8>> {
        let (&unused, bytes) = self.read(BIT_STRING)?.split_first()?;
        let last = bytes.last().copied().unwrap_or_default();
        if unused > 7 || (bytes.is_empty() && unused != 0) || last & ((1 << unused) - 1) != 0 {
            return None;
        }
        let mut before = 0;
        let aligned = bytes.iter().map(|byte| {
            let aligned = if unused == 0 { *byte } else { before << (8 - unused) | byte >> unused };
            before = *byte;
            aligned
        });
        Some(aligned.collect())
    }
}

/// Returns the bytes of an integer if they are its shortest form.
pub(super) fn shortest(bytes: &[u8]) -> Option<&[u8]> {
    let is_longer = matches!(bytes, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..]);
    (!is_longer).then_some(bytes)
}

/// Returns an integer of at most 8 bytes.
pub(super) fn register(bytes: &[u8]) -> Option<i64> {
    let sign = if bytes.first()? & 0x80 == 0 { 0 } else { -1 };
    (bytes.len() <= 8).then(|| bytes.iter().fold(sign, |value, byte| value << 8 | i64::from(*byte)))
}

pub(super) fn is_positive(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & 0x80 == 0) && bytes.iter().any(|byte| *byte != 0)
}
