//! Reading JSON fast where it is right.
//!
//! `serde_json` remains the judge of what is wrong: whoever gets an error here asks it. What is refused here and what is
//! accepted there is read there; what is read here is what is read there, but for parts that are skipped, of which no more is
//! looked at than that they end where they must. No API server sends such parts broken.
//!
//! Why not `serde_json` alone: three quarters of a body are skipped (`managedFields`) or long strings, which it goes through
//! byte by byte, and that costs more than TLS and HTTP together. Why not `sonic-rs`: its speed is in unsafe code.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, IgnoredAny, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
        value::BorrowedStrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

mod scan;

/// Reads `text`, which must hold one JSON value and nothing else; strings are borrowed from it unless they have escapes.
///
/// Goes as deep into the stack as the type that is read does, however deep the text is.
///
/// # Errors
///
/// [`Unreadable`] where it is no JSON, or none that the type takes.
pub(crate) fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Unreadable> {
    let mut reader = Reader { text, at: 0 };
    let value = T::deserialize(&mut reader)?;
    if reader.peek().is_some() { Err(Unreadable) } else { Ok(value) }
}

/// What cannot be read; `serde_json` tells why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot be read")
    }
}

impl std::error::Error for Unreadable {}

impl serde::de::Error for Unreadable {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// The text of a JSON value, which is valid JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a>(pub(crate) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW, RawVisitor)
    }
}

/// By which a [`Reader`] knows that a [`Raw`] is asked for.
const RAW: &str = "clusterprofile_webhook::json::Raw";

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    /// From a [`Reader`].
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Raw(text))
    }

    /// From `serde_json`.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|value| Raw(value.get()))
    }
}

/// A text, read as far as `at`.
struct Reader<'de> {
    text: &'de str,
    at: usize,
}

impl<'de> Reader<'de> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes `byte`, which must be next.
    fn take(&mut self, byte: u8) -> Result<(), Unreadable> {
        if self.peek() != Some(byte) {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'de, str>, Unreadable> {
        self.take(b'"')?;
        let start = self.at;
        let (end, escaped) = scan::string_end(self.text.as_bytes(), start).ok_or(Unreadable)?;
        self.at = end + 1;
        if escaped {
            let quoted = self.text.get(start - 1..=end).ok_or(Unreadable)?;
            return serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Unreadable);
        }
        self.text.get(start..end).map(Cow::Borrowed).ok_or(Unreadable)
    }

    /// A number, `true`, `false` or `null`, which may yet be none of them.
    fn token(&mut self) -> &'de str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest.bytes().take_while(is_part).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn skip(&mut self) -> Result<(), Unreadable> {
        match self.peek().ok_or(Unreadable)? {
            b'"' => self.at = scan::string_end(self.text.as_bytes(), self.at + 1).ok_or(Unreadable)?.0 + 1,
            b'{' | b'[' => self.at = scan::container_end(self.text.as_bytes(), self.at + 1).ok_or(Unreadable)?,
            _ => serde_json::from_str::<IgnoredAny>(self.token()).map(drop).map_err(|_| Unreadable)?,
        }
        Ok(())
    }

    /// Whether another item follows in a list or map that `close` ends, and takes what is before it or the end.
    fn more(&mut self, close: u8, is_first: bool) -> Result<bool, Unreadable> {
        match self.peek().ok_or(Unreadable)? {
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            b',' if !is_first => {
                self.at += 1;
                // What closes after a comma is no item, which is found out by whoever reads it.
                Ok(true)
            }
            _ if is_first => Ok(true),
            _ => Err(Unreadable),
        }
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.peek().ok_or(Unreadable)? {
            b'"' => match self.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            b'{' => {
                let mut items = Items::of(self);
                let value = visitor.visit_map(&mut items)?;
                items.end(b'}').map(|()| value)
            }
            b'[' => {
                let mut items = Items::of(self);
                let value = visitor.visit_seq(&mut items)?;
                items.end(b']').map(|()| value)
            }
            _ => {
                let mut token = serde_json::Deserializer::from_str(self.token());
                let value = token.deserialize_any(visitor).map_err(|_| Unreadable)?;
                token.end().map(|()| value).map_err(|_| Unreadable)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.peek() != Some(b'n') {
            return visitor.visit_some(self);
        }
        if self.token() == "null" { visitor.visit_none() } else { Err(Unreadable) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        if name != RAW {
            return visitor.visit_newtype_struct(self);
        }
        self.peek();
        let start = self.at;
        self.skip()?;
        let raw = self.text.get(start..self.at).ok_or(Unreadable)?;
        serde_json::from_str::<IgnoredAny>(raw).map_err(|_| Unreadable)?;
        visitor.visit_borrowed_str(raw)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}

/// The items of a list or map, one after the other.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    is_first: bool,
    has_ended: bool,
}

impl<'r, 'de> Items<'r, 'de> {
    /// From its opening bracket, which is next.
    fn of(reader: &'r mut Reader<'de>) -> Self {
        reader.at += 1;
        Self { reader, is_first: true, has_ended: false }
    }

    fn more(&mut self, close: u8) -> Result<bool, Unreadable> {
        let more = !self.has_ended && self.reader.more(close, self.is_first)?;
        self.is_first = false;
        self.has_ended = !more;
        Ok(more)
    }

    /// Nothing, if no item is left.
    fn end(mut self, close: u8) -> Result<(), Unreadable> {
        if !self.has_ended && self.more(close)? { Err(Unreadable) } else { Ok(()) }
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        if !self.more(b'}')? {
            return Ok(None);
        }
        match self.reader.string()? {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
            Cow::Owned(key) => seed.deserialize(key.into_deserializer()),
        }
        .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        self.reader.take(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unreadable> {
        if !self.more(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, collections::BTreeMap};

    use proptest::{collection, prelude::*, sample::Index};
    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::{Raw, Unreadable, from_str};

    type Named<'a, T> = BTreeMap<Cow<'a, str>, T>;

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
        fn what_is_json_is_read_as_serde_json_reads_it(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(from_str::<Value>(&text), Ok(serde_json::from_str(&text).unwrap()));
            prop_assert_eq!(from_str::<IgnoredAny>(&text), Ok(IgnoredAny));
            prop_assert_eq!(from_str::<Raw<'_>>(&text), Ok(Raw(&text)));
            let items = format!("[{text}, {text}]");
            prop_assert_eq!(from_str::<(IgnoredAny, Raw<'_>)>(&items), Ok((IgnoredAny, Raw(&text))));
            let member = format!("{{\"a\": {text}}}");
            prop_assert_eq!(from_str::<Named<'_, Option<Raw<'_>>>>(&member).unwrap()["a"].is_none(), value.is_null());
        }

        #[test]
        fn what_is_read_is_read_as_serde_json_reads_it(value in json(), at: Index, byte in r#"["{}\[\]:,\\ 0a]?"#) {
            let mut text = serde_json::to_string(&value).unwrap();
            let at = text.floor_char_boundary(at.index(text.len()));
            let next = text.ceil_char_boundary(at + 1);
            text.replace_range(at..next, &byte);
            if let Ok(read) = from_str::<Value>(&text) {
                prop_assert_eq!(read, serde_json::from_str::<Value>(&text).unwrap(), "{}", text);
            }
            if let Ok(Raw(read)) = from_str(&text) {
                prop_assert!(serde_json::from_str::<IgnoredAny>(read).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn strings_are_borrowed_unless_they_have_escapes() {
        let read: Named<'_, Cow<'_, str>> = from_str(r#" {"a" : "b\"\u00e9", "\n": "é"} "#).unwrap();
        let expected = [("\n", Cow::Borrowed("é")), ("a", Cow::Owned("b\"é".to_owned()))];
        assert_eq!(read, expected.map(|(key, value)| (Cow::Borrowed(key), value)).into());
        assert_eq!(from_str::<&str>(r#""borrowed""#), Ok("borrowed"));
        assert_eq!(from_str::<&str>(r#""with\n""#), Err(Unreadable));
    }

    #[test]
    fn what_is_skipped_must_end() {
        let deep = format!("{}{}", "[{\"a\":".repeat(100_000), "}]".repeat(100_000));
        assert_eq!(from_str::<IgnoredAny>(&deep), Ok(IgnoredAny));
        for text in ["", " ", "[", "{\"a\":", "\"a", "\"a\\\"", "tru", "[\"]", "1 2", "{}}", "-"] {
            assert_eq!(from_str::<IgnoredAny>(text), Err(Unreadable), "{text}");
        }
    }
}
