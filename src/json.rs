//! Reading JSON fast, piece by piece, without a copy.
//!
//! Whoever reads asks for what comes next, so nothing is built that no rule reads. Of parts that are skipped no more is
//! looked at than that they end where they must: no API server sends such parts broken.
//!
//! Why not `serde_json` alone: three quarters of a body are skipped (`managedFields`) or long strings, which it goes through
//! byte by byte, and that costs more than TLS and HTTP together; and a derived type cannot count the items of all its lists.
//! Why not `sonic-rs`: its speed is in unsafe code.

use std::{borrow::Cow, fmt};

use serde::de::IgnoredAny;
use serde_json::Number;

pub(crate) use self::strings::{Step, each_string};

mod scan;
mod strings;

/// A text, read up to a position.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// How many more items of lists may be read; see [`Reader::take_item`].
    items: usize,
}

/// Why a text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is no JSON, or has a string with an escape that stands for no character.
    Json,
    /// An object has this field twice.
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
    /// From the first byte of `text`; lists may have so many `items` together.
    pub(crate) fn new(text: &'a str, items: usize) -> Self {
        Self { text, at: 0, items }
    }

    /// Nothing, if no more than white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Unreadable> {
        if self.peek().is_some() { Err(Unreadable::Json) } else { Ok(()) }
    }

    /// The next byte that is no white space.
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

    /// Where the next value begins.
    pub(crate) fn position(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Goes back to where a value began.
    pub(crate) fn rewind(&mut self, start: usize) {
        self.at = start;
    }

    /// Sets how many items lists may have from here on, together.
    pub(crate) fn allow_items(&mut self, items: usize) {
        self.items = items;
    }

    /// Whether one more item of a list may be read, which it then counts as.
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

    /// A string, which is next: borrowed unless it has escapes.
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

    /// A number, which is next.
    pub(crate) fn number(&mut self) -> Result<Number, Unreadable> {
        serde_json::from_str(self.token()).map_err(|_| Unreadable::Json)
    }

    /// `true`, `false` or, as none, `null`, one of which is next.
    pub(crate) fn literal(&mut self) -> Result<Option<bool>, Unreadable> {
        match self.token() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            "null" => Ok(None),
            _ => Err(Unreadable::Json),
        }
    }

    /// A number, `true`, `false` or `null`, which may yet be none of them.
    fn token(&mut self) -> &'a str {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest.bytes().take_while(is_part).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Passes over the next value.
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

    /// The text of the next value, which is valid JSON.
    pub(crate) fn raw(&mut self) -> Result<&'a str, Unreadable> {
        let start = self.position();
        self.check()?;
        Ok(self.since(start))
    }

    /// Passes over the next value, which must be valid JSON. Goes from value to value without recursion: it may be deep.
    fn check(&mut self) -> Result<(), Unreadable> {
        // What closes each list and object that is open.
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

    /// Passes over the name of a member, where one must be next.
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

    /// Calls `member` with the name of each member of the object that is next; it must read or skip the value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.take(b'{')?;
        let mut is_first = true;
        while self.more(b'}', is_first)? {
            let name = self.string()?;
            self.take(b':')?;
            member(self, name)?;
            is_first = false;
        }
        Ok(())
    }

    /// Calls `item` at each item of the list that is next; it must read or skip the value.
    pub(crate) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.take(b'[')?;
        let mut is_first = true;
        while self.more(b']', is_first)? {
            item(self)?;
            is_first = false;
        }
        Ok(())
    }

    /// Whether another item follows in a list or map that `close` ends, and takes what is before it or the end.
    ///
    /// What closes after a comma is no item, which is found out when that is read.
    #[inline]
    fn more(&mut self, close: u8, is_first: bool) -> Result<bool, Unreadable> {
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
        // Whatever brackets, quotes and backslashes may do, at every place of a lane and a block.
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
        fn what_is_json_is_read_as_serde_json_reads_it(written in json(), pretty: bool) {
            let text =
                if pretty { serde_json::to_string_pretty(&written) } else { serde_json::to_string(&written) }.unwrap();
            prop_assert_eq!(fuzzing::read(&text), Some(serde_json::from_str(&text).unwrap()));
            prop_assert_eq!(whole(&text, Reader::skip), Ok(()));
            prop_assert_eq!(whole(&text, Reader::raw), Ok(text.as_str()));
        }

        #[test]
        fn what_is_read_is_read_as_serde_json_reads_it(written in json(), at: Index, byte in r#"["{}\[\]:,\\ 0a]?"#) {
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
    fn what_is_skipped_must_end() {
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
