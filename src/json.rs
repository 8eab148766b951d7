//! A JSON reader that borrows from the request body and builds no tree.
//!
//! The caller asks the reader for the next value and either reads or skips it. The reader checks a skipped value
//! only for balanced brackets and terminated strings. That is enough because an API server sends valid JSON.
//!
//! It is written by hand because most of a large body is either skipped (`managedFields`) or long strings. `serde_json`
//! goes through both byte by byte; this reader takes 16 bytes at a time. `make instructions` counts the instructions:
//!
//! | body | `serde_json` scan that keeps nothing | complete mutate review with this reader |
//! | --- | --- | --- |
//! | 36 KB | 318,000 | 243,000 |
//! | 2.4 MB | 10.1 million | 6.5 million |
//!
//! On the 36 KB body, the scan alone takes as much CPU as TLS and HTTP together. In addition, a derived `serde` type cannot
//! count the items of all lists of an object against one limit. `sonic-rs` is fast too, but its speed is in unsafe code.

use std::{borrow::Cow, fmt};

use serde::de::IgnoredAny;
use serde_json::Number;

pub(crate) use self::strings::{Step, each_string};

mod scan;
mod strings;

/// A JSON text and the position up to which it has been read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Number of list items that may still be read, over all lists; see [`Reader::take_item`].
    items: usize,
}

/// The reason why a text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The text is not valid JSON, or a string has an escape that is not a character, such as a lone surrogate.
    Json,
    /// An object has this field more than once.
    Twice(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json => f.write_str("invalid JSON, or an escape in a string that stands for no character"),
            Self::Twice(field) => write!(f, "duplicate field `{field}`"),
        }
    }
}

impl<'a> Reader<'a> {
    /// Creates a reader at the first byte of `text`. `items` is the limit for the items of all lists together.
    pub(crate) fn new(text: &'a str, items: usize) -> Self {
        Self { text, at: 0, items }
    }

    /// Checks that only white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Unreadable> {
        if self.peek().is_some() { Err(Unreadable::Json) } else { Ok(()) }
    }

    /// Skips white space and returns the next byte without consuming it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Skips white space and returns the position of the next value.
    pub(crate) fn position(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// Returns the text from `start` up to the current position.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Goes back to `start`, the position of an earlier value.
    pub(crate) fn rewind(&mut self, start: usize) {
        self.at = start;
    }

    /// Sets the limit for the items of all lists that follow, together.
    pub(crate) fn allow_items(&mut self, items: usize) {
        self.items = items;
    }

    /// Counts one list item. Returns `false` if the limit is already reached.
    pub(crate) fn take_item(&mut self) -> bool {
        let left = self.items.checked_sub(1);
        self.items = left.unwrap_or_default();
        left.is_some()
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Result<(), Unreadable> {
        if self.peek() != Some(byte) {
            return Err(Unreadable::Json);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string. It is borrowed from the text unless it has escapes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Unreadable> {
        if self.peek() != Some(b'"') {
            return Err(Unreadable::Json);
        }
        let start = self.at + 1;
        let (end, escaped) = scan::string_end(self.text.as_bytes(), start).ok_or(Unreadable::Json)?;
        self.at = end + 1;
        if escaped {
            let quoted = self.text.get(start - 1..=end).ok_or(Unreadable::Json)?;
            return serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Unreadable::Json);
        }
        self.text.get(start..end).map(Cow::Borrowed).ok_or(Unreadable::Json)
    }

    pub(crate) fn number(&mut self) -> Result<Number, Unreadable> {
        serde_json::from_str(self.token()).map_err(|_| Unreadable::Json)
    }

    /// Reads `true`, `false` or `null`, and returns `None` for `null`.
    pub(crate) fn literal(&mut self) -> Result<Option<bool>, Unreadable> {
        match self.token() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            "null" => Ok(None),
            _ => Err(Unreadable::Json),
        }
    }

    /// Takes the characters of a number, `true`, `false` or `null`. The caller checks that they are valid.
    fn token(&mut self) -> &'a str {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest.bytes().take_while(is_part).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Skips the next value and checks only that it ends; see the module documentation.
    pub(crate) fn skip(&mut self) -> Result<(), Unreadable> {
        match self.peek().ok_or(Unreadable::Json)? {
            b'"' => self.at = scan::string_end(self.text.as_bytes(), self.at + 1).ok_or(Unreadable::Json)?.0 + 1,
            b'{' | b'[' => {
                self.at = scan::container_end(self.text.as_bytes(), self.at + 1).ok_or(Unreadable::Json)?;
            }
            _ => is_json(self.token())?,
        }
        Ok(())
    }

    /// Returns the text of the next value after checking that it is valid JSON.
    pub(crate) fn raw(&mut self) -> Result<&'a str, Unreadable> {
        let start = self.position();
        self.check()?;
        Ok(self.since(start))
    }

    /// Skips the next value and checks that it is valid JSON.
    ///
    /// It does not recurse, because the API server accepts values nested deeper than a stack allows.
    fn check(&mut self) -> Result<(), Unreadable> {
        // The closing bracket of each open list and object.
        let mut closing = Vec::new();
        loop {
            let open = self.peek().ok_or(Unreadable::Json)?;
            match open {
                b'{' | b'[' => {
                    self.at += 1;
                    closing.push(if open == b'{' { b'}' } else { b']' });
                    if self.peek() != closing.last().copied() {
                        self.check_name(open == b'{')?;
                        continue;
                    }
                }
                b'"' => self.check_string()?,
                _ => is_json(self.token())?,
            }
            while let Some(close) = closing.last() {
                let byte = self.peek().ok_or(Unreadable::Json)?;
                self.at += 1;
                if byte == *close {
                    closing.pop();
                } else if byte == b',' {
                    self.check_name(*close == b'}')?;
                    break;
                } else {
                    return Err(Unreadable::Json);
                }
            }
            if closing.is_empty() {
                return Ok(());
            }
        }
    }

    /// Skips the name of a member and its colon, if the container is an object.
    fn check_name(&mut self, is_member: bool) -> Result<(), Unreadable> {
        if is_member {
            self.check_string()?;
            self.take(b':')?;
        }
        Ok(())
    }

    fn check_string(&mut self) -> Result<(), Unreadable> {
        let start = self.position();
        self.take(b'"')?;
        let (end, escaped) = scan::string_end(self.text.as_bytes(), self.at).ok_or(Unreadable::Json)?;
        self.at = end + 1;
        if escaped { is_json(self.since(start)) } else { Ok(()) }
    }

    /// Reads an object and calls `member` with the name of each member. `member` reads or skips the value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.take(b'{')?;
        let mut is_first = true;
        while self.has_next(b'}', is_first)? {
            let name = self.string()?;
            self.take(b':')?;
            member(self, name)?;
            is_first = false;
        }
        Ok(())
    }

    /// Reads a list and calls `item` at each item. `item` reads or skips the value.
    pub(crate) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.take(b'[')?;
        let mut is_first = true;
        while self.has_next(b']', is_first)? {
            item(self)?;
            is_first = false;
        }
        Ok(())
    }

    /// Consumes a comma or the bracket `close`, and returns whether another item follows.
    ///
    /// It accepts a bracket after a comma as an item; the read of that item then fails.
    #[inline]
    fn has_next(&mut self, close: u8, is_first: bool) -> Result<bool, Unreadable> {
        match self.peek().ok_or(Unreadable::Json)? {
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            b',' if !is_first => {
                self.at += 1;
                Ok(true)
            }
            _ if is_first => Ok(true),
            _ => Err(Unreadable::Json),
        }
    }
}

fn is_json(text: &str) -> Result<(), Unreadable> {
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|_| Unreadable::Json)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::{collection, prelude::*, sample::Index};
    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::{Reader, Unreadable};
    use crate::fuzzing;

    fn whole<'a, T>(
        text: &'a str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        let mut reader = Reader::new(text, 0);
        let value = read(&mut reader)?;
        reader.end().map(|()| value)
    }

    fn json() -> impl Strategy<Value = Value> {
        // Brackets, quotes and backslashes at every position of a lane and a block.
        let text = r#"[a"\\{}\[\]:,é \n]{0,90}"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        leaf.prop_recursive(6, 64, 8, move |inner| {
            prop_oneof![
                collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                collection::btree_map(text, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect()))
            ]
        })
    }

    proptest! {
        #[test]
        fn valid_json_is_read_like_serde_json(written in json(), pretty: bool) {
            let text =
                if pretty { serde_json::to_string_pretty(&written) } else { serde_json::to_string(&written) }.unwrap();
            prop_assert_eq!(fuzzing::read(&text), Some(serde_json::from_str(&text).unwrap()));
            prop_assert_eq!(whole(&text, Reader::skip), Ok(()));
            prop_assert_eq!(whole(&text, Reader::raw), Ok(text.as_str()));
        }

        #[test]
        fn damaged_json_is_read_like_serde_json_or_refused(written in json(), at: Index, byte in r#"["{}\[\]:,\\ 0a]?"#) {
            let mut text = serde_json::to_string(&written).unwrap();
            let at = text.floor_char_boundary(at.index(text.len()));
            let next = text.ceil_char_boundary(at + 1);
            text.replace_range(at..next, &byte);
            if let Some(read) = fuzzing::read(&text) {
                prop_assert_eq!(read, serde_json::from_str::<Value>(&text).unwrap(), "{}", text);
            }
            prop_assert_eq!(whole(&text, Reader::raw).is_ok(), serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn strings_are_borrowed_unless_they_have_escapes() {
        let string = |text| whole(text, Reader::string);
        assert!(matches!(string(" \"borrowed é\" "), Ok(Cow::Borrowed("borrowed é"))));
        assert!(matches!(string(r#""b\"\u00e9""#), Ok(Cow::Owned(text)) if text == "b\"é"));
        for text in [r#""\ud800""#, "\"a\n\"", "\"a", "a", ""] {
            assert_eq!(string(text), Err(Unreadable::Json), "{text}");
        }
    }

    #[test]
    fn a_skipped_value_without_an_end_is_refused() {
        let deep = format!("{}0{}", "[{\"a\":".repeat(100_000), "}]".repeat(100_000));
        assert_eq!(whole(&deep, Reader::skip), Ok(()));
        assert!(whole(&deep, Reader::raw).is_ok());
        for text in ["", " ", "[", "{\"a\":", "\"a", "\"a\\\"", "tru", "[\"]", "1 2", "{}}", "-"] {
            assert_eq!(whole(text, Reader::skip), Err(Unreadable::Json), "{text}");
            assert_eq!(whole(text, Reader::raw), Err(Unreadable::Json), "{text}");
        }
        for text in
            ["[1,]", "{\"a\":1,}", "[,]", "[1 2]", "{\"a\" 1}", "{1:2}", "{a:1}", "[1}", "\"\\q\"", "01", "[}", "{]"]
        {
            assert_eq!(whole(text, Reader::raw), Err(Unreadable::Json), "{text}");
        }
    }
}
