//! Reads a field that may be absent, null or of the wrong JSON type.

use std::{borrow::Cow, fmt};

use serde_json::Number;

use crate::{
    digest,
    json::{Reader, Unreadable},
};

/// A field of an object: absent, valid or of the wrong JSON type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Hash)]
pub enum Field<T> {
    /// The field is missing or null.
    #[default]
    Absent,
    /// The value has the JSON type that the API defines.
    Set(T),
    /// The value has another JSON type.
    Mistyped(Json),
}

/// A JSON value of the wrong type for its field, reduced to the part that a finding shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Json {
    /// `null` as a list item.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer that fits into `i64`.
    Integer(i64),
    /// An integer greater than `i64::MAX`.
    Unsigned(u64),
    /// The bits of a floating-point number, so that the type can implement `Eq` and `Hash`.
    Float(u64),
    /// A string, kept as a digest.
    String(Content),
    /// An array, kept as a digest of its text.
    Array(Content),
    /// An object, kept as a digest of its text.
    Object(Content),
}

/// A digest of a value. It distinguishes values without keeping them, because a value may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content(u64);

impl Content {
    fn of(text: &str) -> Self {
        Self(digest::of(text))
    }
}

impl<T> Field<T> {
    /// Returns a reference to the value if it has the right type.
    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Mistyped(_) => None,
        }
    }

    /// Returns the value if it has the right type.
    pub fn into_set(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Mistyped(_) => None,
        }
    }

    /// Returns the value if it has the wrong type.
    pub fn mistyped(&self) -> Option<&Json> {
        match self {
            Self::Mistyped(json) => Some(json),
            Self::Absent | Self::Set(_) => None,
        }
    }
}

impl Field<Cow<'_, str>> {
    /// Returns the text if the value is a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.set().map(AsRef::as_ref)
    }

    /// Returns whether the value is this text.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.text() == Some(text)
    }
}

impl<'a> Field<&'a str> {
    /// Returns the text if the value is a string.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Set(text) => Some(text),
            Self::Absent | Self::Mistyped(_) => None,
        }
    }

    /// Returns whether the value is this text.
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
    /// Reads the next value as one of the wrong type.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        /// A type that takes no JSON type, so every value but null is mistyped.
        struct Nothing;
        impl Takes<'_> for Nothing {}
        match Field::<Nothing>::read(reader)? {
            Field::Mistyped(json) => Ok(json),
            Field::Absent | Field::Set(Nothing) => Ok(Self::Null),
        }
    }
}

/// Conversion from the JSON types that a field takes. By default, every JSON type is mistyped.
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
    /// Reads the next value.
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
        /// 2^53 - 1: up to this number, an `f64` represents every integer exactly.
        const EXACT: f64 = 9_007_199_254_740_991.0;
        if let Some(integer) = number.as_i64() {
            return T::integer(integer);
        }
        if let Some(unsigned) = number.as_u64() {
            return Self::Mistyped(Json::Unsigned(unsigned));
        }
        let value = number.as_f64().unwrap_or_default();
        // In JSON Schema, and so in the API server, 1.0 is an integer.
        let integer = if value.abs() <= EXACT { format!("{value}") } else { String::new() }.parse();
        integer.map_or(Self::Mistyped(Json::Float(value.to_bits())), T::integer)
    }
}

/// Reads a value in a map of strings. Null becomes `""`, because the API server stores it so.
pub(super) fn map_value<'a>(reader: &mut Reader<'a>) -> Result<Field<Cow<'a, str>>, Unreadable> {
    Ok(match Field::read(reader)? {
        Field::Absent => Field::Set(Cow::Borrowed("")),
        other => other,
    })
}

/// Implements [`Takes`] for an object with known field names.
///
/// A field that occurs twice is an error, because JSON readers differ on which value they use.
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
