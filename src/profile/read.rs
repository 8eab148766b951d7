//! Reading a field that may be absent, null or of the wrong JSON type.

use std::{borrow::Cow, fmt};

use serde_json::Number;

use crate::{
    digest,
    json::{Reader, Unreadable},
};

/// A field as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Hash)]
pub enum Field<T> {
    /// Not there, or null.
    #[default]
    Absent,
    /// Of the type that the API gives it.
    Set(T),
    /// Of another JSON type.
    Mistyped(Json),
}

/// A JSON value of a type that its field does not take, as far as a finding shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Json {
    /// `null`, as an item of a list.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// An integer past those.
    Unsigned(u64),
    /// The bits of a floating-point number, which are as they are written.
    Float(u64),
    /// A string.
    String(Content),
    /// An array.
    Array(Content),
    /// An object.
    Object(Content),
}

/// What a value holds, to be told from another: a digest of it, since it is never shown and may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content(u64);

impl Content {
    fn of(text: &str) -> Self {
        Self(digest::of(text))
    }
}

impl<T> Field<T> {
    /// The value, where it has the right type.
    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Mistyped(_) => None,
        }
    }

    /// The value, where it has the right type.
    pub fn into_set(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Mistyped(_) => None,
        }
    }

    /// The value of the wrong type, where it has one.
    pub fn mistyped(&self) -> Option<&Json> {
        match self {
            Self::Mistyped(json) => Some(json),
            Self::Absent | Self::Set(_) => None,
        }
    }
}

impl Field<Cow<'_, str>> {
    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.set().map(AsRef::as_ref)
    }

    /// Whether it is this text.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.text() == Some(text)
    }
}

impl<'a> Field<&'a str> {
    /// The text, where it is one.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Set(text) => Some(text),
            Self::Absent | Self::Mistyped(_) => None,
        }
    }

    /// Whether it is this text.
    #[must_use]
    pub fn is(self, text: &str) -> bool {
        self.text() == Some(text)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::Float(bits) => match Number::from_f64(f64::from_bits(*bits)) {
                Some(number) => number.fmt(f),
                None => f.write_str("number"),
            },
            Self::String(_) => f.write_str("string"),
            Self::Array(_) => f.write_str("array"),
            Self::Object(_) => f.write_str("object"),
        }
    }
}

impl Json {
    /// The next value.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        /// A type that takes no value.
        struct Nothing;
        impl Takes<'_> for Nothing {}
        match Field::<Nothing>::read(reader)? {
            Field::Mistyped(json) => Ok(json),
            Field::Absent | Field::Set(Nothing) => Ok(Self::Null),
        }
    }
}

/// The JSON types that a field takes; every other is mistyped.
pub(crate) trait Takes<'a>: Sized {
    fn string(text: Cow<'a, str>) -> Field<Self> {
        Field::Mistyped(Json::String(Content::of(&text)))
    }

    fn boolean(value: bool) -> Field<Self> {
        Field::Mistyped(Json::Boolean(value))
    }

    fn integer(value: i64) -> Field<Self> {
        Field::Mistyped(Json::Integer(value))
    }

    fn array(reader: &mut Reader<'a>) -> Result<Field<Self>, Unreadable> {
        Ok(Field::Mistyped(Json::Array(Content::of(reader.raw()?))))
    }

    fn object(reader: &mut Reader<'a>) -> Result<Field<Self>, Unreadable> {
        Ok(Field::Mistyped(Json::Object(Content::of(reader.raw()?))))
    }
}

impl<'a> Takes<'a> for Cow<'a, str> {
    fn string(text: Cow<'a, str>) -> Field<Self> {
        Field::Set(text)
    }
}

impl Takes<'_> for bool {
    fn boolean(value: bool) -> Field<Self> {
        Field::Set(value)
    }
}

impl Takes<'_> for i64 {
    fn integer(value: i64) -> Field<Self> {
        Field::Set(value)
    }
}

#[expect(private_bounds, reason = "reading is the crate's own")]
impl<'a, T: Takes<'a>> Field<T> {
    /// The next value.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        match reader.peek().ok_or(Unreadable::Json)? {
            b'"' => reader.string().map(T::string),
            b'{' => T::object(reader),
            b'[' => T::array(reader),
            b't' | b'f' | b'n' => Ok(reader.literal()?.map_or(Self::Absent, T::boolean)),
            _ => reader.number().map(|number| Self::of_number(&number)),
        }
    }

    fn of_number(number: &Number) -> Self {
        /// The largest number up to which a float tells every integer from the next.
        const EXACT: f64 = 9_007_199_254_740_991.0;
        if let Some(integer) = number.as_i64() {
            return T::integer(integer);
        }
        if let Some(unsigned) = number.as_u64() {
            return Self::Mistyped(Json::Unsigned(unsigned));
        }
        let value = number.as_f64().unwrap_or_default();
        // JSON Schema, and so the API server, takes 1.0 for an integer.
        let integer = if value.abs() <= EXACT { format!("{value}") } else { String::new() }.parse();
        integer.map_or(Self::Mistyped(Json::Float(value.to_bits())), T::integer)
    }
}

/// A value of a map of strings, of which the API server stores null as `""`.
pub(super) fn map_value<'a>(reader: &mut Reader<'a>) -> Result<Field<Cow<'a, str>>, Unreadable> {
    Ok(match Field::read(reader)? {
        Field::Absent => Field::Set(Cow::Borrowed("")),
        other => other,
    })
}

/// Reads an object whose fields are known by name; a field that is there twice is an error, for readers differ on which
/// counts.
macro_rules! takes_object {
    ($type:ident { $($name:literal => $field:ident = $read:path),+ $(,)? }) => {
        impl<'a> $crate::profile::Takes<'a> for $type<'a> {
            fn object(
                reader: &mut $crate::json::Reader<'a>,
            ) -> Result<$crate::profile::Field<Self>, $crate::json::Unreadable> {
                $(let mut $field = None;)+
                reader.object(|reader, name| {
                    match name.as_ref() {
                        $($name => {
                            if $field.replace($read(reader)?).is_some() {
                                return Err($crate::json::Unreadable::Twice($name));
                            }
                        })+
                        _ => reader.skip()?,
                    }
                    Ok(())
                })?;
                Ok($crate::profile::Field::Set(Self { $($field: $field.unwrap_or_default()),+ }))
            }
        }
    };
}
pub(crate) use takes_object;
