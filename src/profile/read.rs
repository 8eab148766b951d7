//! Reading a field that may be absent, null or of the wrong JSON type.

use std::{
    borrow::Cow,
    fmt,
    hash::{DefaultHasher, Hash, Hasher as _},
    marker::PhantomData,
};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Number;

use super::{
    AccessProvider, Cluster, ClusterManager, ClusterProfile, ClusterVersion, Condition, Extension, Labels, Metadata,
    Property, Spec, Status,
};
use crate::json::Raw;

/// A field as it was written.
#[derive(Debug, Default, PartialEq)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Json {
    /// `null`, as an item of a list.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as text.
    Number(String),
    /// A string.
    String(Content),
    /// An array.
    Array(Content),
    /// An object.
    Object(Content),
}

/// What a value holds, to be told from another: a hash of it, since it is shown to nobody and may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content(pub u64);

/// A list, as far as it is read: its first [`MAX_ITEMS`] items, which may each be null or of a wrong type.
#[derive(Debug, PartialEq)]
pub struct Items<T> {
    read: Vec<Field<T>>,
    len: usize,
}

/// Most items of a list that are read.
///
/// `{}` is two bytes of a body and a hundred times that in memory, so a body of nothing else must not be read whole. An
/// object that etcd can hold has no room for so many items that say anything.
pub const MAX_ITEMS: usize = 16_384;

impl<T> Field<T> {
    /// The value, where it has the right type.
    pub fn set(&self) -> Option<&T> {
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

impl<T> Field<Items<T>> {
    /// Items of the right type, with their index.
    pub fn items(&self) -> impl Iterator<Item = (usize, &T)> {
        self.all().filter_map(|(index, item)| Some((index, item.set()?)))
    }

    /// The item at that index, where it is read and of the right type.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.set()?.read.get(index)?.set()
    }

    /// Every item that is read, with its index.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Field<T>)> {
        self.set().into_iter().flat_map(|items| &items.read).enumerate()
    }
}

impl<T> Items<T> {
    /// How many items the list has, those that are not read, too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the list has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
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

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::Number(value) => f.write_str(value),
            Self::String(_) => f.write_str("string"),
            Self::Array(_) => f.write_str("array"),
            Self::Object(_) => f.write_str("object"),
        }
    }
}

/// The JSON types that a field takes; every other is mistyped.
pub trait Takes<'de>: Sized {
    fn string(text: Cow<'de, str>) -> Field<Self> {
        let mut content = DefaultHasher::new();
        text.hash(&mut content);
        Field::Mistyped(Json::String(Content(content.finish())))
    }

    fn boolean(value: bool) -> Field<Self> {
        Field::Mistyped(Json::Boolean(value))
    }

    fn integer(value: i64) -> Field<Self> {
        Field::Mistyped(Json::Number(value.to_string()))
    }

    fn array<A: SeqAccess<'de>>(mut items: A) -> Result<Field<Self>, A::Error> {
        let mut content = DefaultHasher::new();
        while let Some(item) = items.next_element::<Raw<'_>>()? {
            item.0.hash(&mut content);
        }
        Ok(Field::Mistyped(Json::Array(Content(content.finish()))))
    }

    fn object<A: MapAccess<'de>>(mut fields: A) -> Result<Field<Self>, A::Error> {
        let mut content = DefaultHasher::new();
        while let Some((name, value)) = fields.next_entry::<Cow<'_, str>, Raw<'_>>()? {
            (name, value.0).hash(&mut content);
        }
        Ok(Field::Mistyped(Json::Object(Content(content.finish()))))
    }
}

impl<'de: 'a, 'a> Takes<'de> for Cow<'a, str> {
    fn string(text: Cow<'de, str>) -> Field<Self> {
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

impl<'de, T: Takes<'de>> Takes<'de> for Items<T> {
    fn array<A: SeqAccess<'de>>(mut items: A) -> Result<Field<Self>, A::Error> {
        let mut read = Vec::new();
        while read.len() < MAX_ITEMS
            && let Some(item) = items.next_element()?
        {
            read.push(item);
        }
        let mut len = read.len();
        while items.next_element::<IgnoredAny>()?.is_some() {
            len += 1;
        }
        Ok(Field::Set(Self { read, len }))
    }
}

/// A type that is read from a JSON object, and from nothing else: serde alone would take an array for one, too.
pub(crate) trait Fields<'de>: Deserialize<'de> {}

impl<'de: 'a, 'a> Fields<'de> for ClusterProfile<'a> {}
impl<'de: 'a, 'a> Fields<'de> for Metadata<'a> {}
impl<'de: 'a, 'a> Fields<'de> for Labels<'a> {}
impl<'de: 'a, 'a> Fields<'de> for Spec<'a> {}
impl<'de: 'a, 'a> Fields<'de> for ClusterManager<'a> {}
impl<'de: 'a, 'a> Fields<'de> for Status<'a> {}
impl<'de: 'a, 'a> Fields<'de> for ClusterVersion<'a> {}
impl<'de: 'a, 'a> Fields<'de> for Property<'a> {}
impl<'de: 'a, 'a> Fields<'de> for Condition<'a> {}
impl<'de: 'a, 'a> Fields<'de> for AccessProvider<'a> {}
impl<'de: 'a, 'a> Fields<'de> for Cluster<'a> {}
impl<'de: 'a, 'a> Fields<'de> for Extension<'a> {}

impl<'de, T: Fields<'de>> Takes<'de> for T {
    fn object<A: MapAccess<'de>>(fields: A) -> Result<Field<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Field::Set)
    }
}

impl<'de, T: Takes<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Takes<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(T::integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Field::Mistyped(Json::Number(value.to_string())), T::integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        /// The largest number up to which a float tells every integer from the next.
        const EXACT: f64 = 9_007_199_254_740_991.0;
        // JSON Schema, and so the API server, takes 1.0 for an integer.
        let integer = if value.abs() <= EXACT { format!("{value}") } else { String::new() }.parse();
        let text = || Number::from_f64(value).map_or_else(|| value.to_string(), |number| number.to_string());
        Ok(integer.map_or_else(|_| Field::Mistyped(Json::Number(text())), T::integer))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::string(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(T::string(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        T::array(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::object(fields)
    }
}
