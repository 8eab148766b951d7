//! Storage for the objects in lists. Only the fields that are present take memory.
//!
//! The shortest object with a field that rules read is ten bytes long, and a body may consist of such objects. An object
//! takes eight bytes here, plus 24 bytes for each field. A list keeps the fields of all its items one after the other.

use std::{borrow::Cow, fmt};

use super::{Body, Extension, Field, Items, Json, chunks::Chunks, read::Takes};
use crate::json::{Reader, Unreadable};

/// A field that is present.
///
/// It is [`Copy`], because dropping fields one by one takes longer than reading them. [`Object`] compares fields: equal objects
/// can have different places in two lists, and equal texts can be written with and without escapes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    Text(&'a str),
    /// The position of a text that was written with escapes.
    Unescaped(u32),
    Integer(i64),
    Boolean(bool),
    Body(Body<'a>),
    Object(Place),
    /// The position of a list.
    Extensions(u32),
    Mistyped(Json),
}

const _: () = assert!(size_of::<Part<'_>>() == 24, "the memory of an item is based on this size");

/// The position of an object's fields in its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    start: u32,
    /// Four bits for each field, the lowest for the first: 0 if the field is absent, else its distance from `start` plus 1.
    order: u32,
}

/// Number of bits for each field in [`Place::order`].
const BITS: usize = 4;

impl Place {
    /// Returns whether the object has no fields.
    pub(super) fn is_blank(self) -> bool {
        self.order == 0
    }
}

/// The fields of all items of a list, and of the objects in these items.
#[derive(Debug, Default)]
pub(crate) struct Arena<'a> {
    parts: Chunks<Part<'a>>,
    /// What [`Part`] only points to. Few lists have any.
    owned: Option<Box<Owned<'a>>>,
}

#[derive(Debug, Default)]
struct Owned<'a> {
    unescaped: Chunks<Box<str>>,
    extensions: Chunks<Items<'a, Extension<'a>>>,
}

impl<'a> Arena<'a> {
    /// Adds an object that has no fields yet, and at most `fields` later.
    #[inline]
    pub(super) fn add(&mut self, fields: usize) -> Added<'_, 'a> {
        let (start, parts) = self.parts.reserve(fields);
        Added { place: Place { start, order: 0 }, next: 1, parts }
    }

    /// Allocates memory for `parts` fields.
    pub(super) fn allocate(&mut self, parts: usize) {
        self.parts.allocate(parts);
    }

    #[inline]
    fn text(&mut self, text: Cow<'a, str>) -> Part<'a> {
        match text {
            Cow::Borrowed(text) => Part::Text(text),
            Cow::Owned(text) => self.unescaped(text),
        }
    }

    #[cold]
    fn unescaped(&mut self, text: String) -> Part<'a> {
        Part::Unescaped(self.owned.get_or_insert_default().unescaped.push(text.into_boxed_str()))
    }

    fn extensions(&mut self, list: Items<'a, Extension<'a>>) -> Part<'a> {
        Part::Extensions(self.owned.get_or_insert_default().extensions.push(list))
    }

    pub(super) fn object(&'a self, place: Place) -> Object<'a> {
        Object { arena: self, parts: self.parts.from(place.start), order: place.order }
    }
}

/// Maximum number of fields of an object that rules read.
pub(super) const FIELDS: usize = 8;

/// An object whose fields are being stored.
pub(crate) struct Added<'k, 'a> {
    place: Place,
    next: u32,
    parts: &'k mut Vec<Part<'a>>,
}

impl<'a> Added<'_, 'a> {
    /// Stores a field.
    #[inline]
    pub(super) fn store(&mut self, field: usize, part: Option<Part<'a>>) {
        if let Some(part) = part {
            self.place.order |= self.next << (field * BITS);
            self.next += 1;
            self.parts.push(part);
        }
    }

    pub(super) fn place(self) -> Place {
        self.place
    }
}

/// An object in a list, or in a list item.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    arena: &'a Arena<'a>,
    /// The parts from the object's first part on. Parts of later objects may follow.
    parts: &'a [Part<'a>],
    order: u32,
}

impl<'a> Object<'a> {
    /// Returns an object without fields.
    pub(super) fn blank(arena: &'a Arena<'a>) -> Self {
        Self { arena, parts: &[], order: 0 }
    }

    #[inline]
    pub(super) fn part(self, field: usize) -> Option<&'a Part<'a>> {
        let distance = (self.order >> (field * BITS)) & 0xF;
        self.parts.get((distance as usize).checked_sub(1)?)
    }

    #[inline]
    fn text(self, part: &Part<'a>) -> Option<&'a str> {
        match part {
            Part::Text(text) => Some(text),
            Part::Unescaped(number) => self.arena.owned.as_ref()?.unescaped.from(*number).first().map(AsRef::as_ref),
            _ => None,
        }
    }

    fn list(self, part: &Part<'a>) -> Option<&'a Items<'a, Extension<'a>>> {
        match part {
            Part::Extensions(number) => self.arena.owned.as_ref()?.extensions.from(*number).first(),
            _ => None,
        }
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries((0..FIELDS).filter_map(|field| Some((field, self.part(field)?)))).finish()
    }
}

impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        (0..FIELDS).all(|field| match (self.part(field), other.part(field)) {
            (None, None) => true,
            (Some(own), Some(its)) => match (own, its) {
                (Part::Text(_) | Part::Unescaped(_), _) => {
                    self.text(own).is_some_and(|own| other.text(its) == Some(own))
                }
                (Part::Integer(own), Part::Integer(its)) => own == its,
                (Part::Boolean(own), Part::Boolean(its)) => own == its,
                (Part::Body(own), Part::Body(its)) => own == its,
                (Part::Object(own), Part::Object(its)) => self.arena.object(*own) == other.arena.object(*its),
                (Part::Extensions(_), _) => self.list(own).is_some_and(|own| other.list(its) == Some(own)),
                (Part::Mistyped(own), Part::Mistyped(its)) => own == its,
                _ => false,
            },
            _ => false,
        })
    }
}

/// A type of objects in lists or in list items.
pub(crate) trait Listed<'a>: Copy {
    /// Usual length of a list, and number of fields of an item: the memory that is allocated at once.
    const USUAL: (usize, usize);

    /// Wraps an object in this type.
    fn of(object: Object<'a>) -> Self;

    /// Reads the next value, which is an object.
    fn read(reader: &mut Reader<'a>, arena: &mut Arena<'a>) -> Result<Place, Unreadable>;
}

/// The type of a field of a [`Listed`] object.
pub(super) trait Value<'a>: Sized {
    /// Reads the next value. Returns `None` if it is null.
    fn read(reader: &mut Reader<'a>, arena: &mut Arena<'a>) -> Result<Option<Part<'a>>, Unreadable>;

    fn field(object: Object<'a>, part: Option<&'a Part<'a>>) -> Field<Self>;
}

#[inline]
fn part<'a, T: Takes<'a>>(
    reader: &mut Reader<'a>,
    set: impl FnOnce(T) -> Part<'a>,
) -> Result<Option<Part<'a>>, Unreadable> {
    Ok(match Field::read(reader)? {
        Field::Set(value) => Some(set(value)),
        Field::Mistyped(json) => Some(Part::Mistyped(json)),
        Field::Absent => None,
    })
}

impl<'a> Value<'a> for &'a str {
    #[inline]
    fn read(reader: &mut Reader<'a>, arena: &mut Arena<'a>) -> Result<Option<Part<'a>>, Unreadable> {
        if reader.peek() == Some(b'"') {
            return reader.string().map(|text| Some(arena.text(text)));
        }
        part::<Never>(reader, |never| match never {})
    }

    #[inline]
    fn field(object: Object<'a>, part: Option<&'a Part<'a>>) -> Field<Self> {
        match part {
            Some(Part::Mistyped(json)) => Field::Mistyped(*json),
            part => part.and_then(|part| object.text(part)).map_or(Field::Absent, Field::Set),
        }
    }
}

impl<'a> Value<'a> for &'a Items<'a, Extension<'a>> {
    fn read(reader: &mut Reader<'a>, arena: &mut Arena<'a>) -> Result<Option<Part<'a>>, Unreadable> {
        part(reader, |list| arena.extensions(list))
    }

    fn field(object: Object<'a>, part: Option<&'a Part<'a>>) -> Field<Self> {
        match part {
            Some(Part::Mistyped(json)) => Field::Mistyped(*json),
            part => part.and_then(|part| object.list(part)).map_or(Field::Absent, Field::Set),
        }
    }
}

macro_rules! value {
    ($type:ty, $part:ident) => {
        impl<'a> Value<'a> for $type {
            fn read(reader: &mut Reader<'a>, _: &mut Arena<'a>) -> Result<Option<Part<'a>>, Unreadable> {
                part(reader, Part::$part)
            }

            #[inline]
            fn field(_: Object<'a>, part: Option<&'a Part<'a>>) -> Field<Self> {
                match part {
                    Some(Part::$part(value)) => Field::Set(*value),
                    Some(Part::Mistyped(json)) => Field::Mistyped(*json),
                    _ => Field::Absent,
                }
            }
        }
    };
}

value!(i64, Integer);
value!(bool, Boolean);

impl<'a> Value<'a> for Body<'a> {
    fn read(reader: &mut Reader<'a>, _: &mut Arena<'a>) -> Result<Option<Part<'a>>, Unreadable> {
        Ok(Self::read(reader)?.map(Part::Body))
    }

    #[inline]
    fn field(_: Object<'a>, part: Option<&'a Part<'a>>) -> Field<Self> {
        match part {
            Some(Part::Body(body)) => Field::Set(*body),
            _ => Field::Absent,
        }
    }
}

impl<'a, T: Listed<'a>> Value<'a> for T {
    fn read(reader: &mut Reader<'a>, arena: &mut Arena<'a>) -> Result<Option<Part<'a>>, Unreadable> {
        if reader.peek() == Some(b'{') {
            return T::read(reader, arena).map(|place| Some(Part::Object(place)));
        }
        part::<Never>(reader, |never| match never {})
    }

    #[inline]
    fn field(object: Object<'a>, part: Option<&'a Part<'a>>) -> Field<Self> {
        match part {
            Some(Part::Object(place)) => Field::Set(T::of(object.arena.object(*place))),
            Some(Part::Mistyped(json)) => Field::Mistyped(*json),
            _ => Field::Absent,
        }
    }
}

/// A type without values: every JSON type is mistyped.
enum Never {}

impl Takes<'_> for Never {}

/// Defines a view of an object with one method for each field. The number before the name is the field's index in
/// [`Place::order`]. A field that occurs twice is an error, because JSON readers differ on which value they use.
macro_rules! listed {
    ($(#[$doc:meta])* $type:ident[$usual:literal of $count:literal] {
        $($(#[$field_doc:meta])* $place:literal $name:literal => $field:ident: $value:ty),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $type<'a>($crate::profile::object::Object<'a>);

        impl<'a> $type<'a> {
            $(
                $(#[$field_doc])*
                #[must_use]
                #[inline]
                pub fn $field(self) -> $crate::profile::Field<$value> {
                    <$value as $crate::profile::object::Value<'a>>::field(self.0, self.0.part($place))
                }
            )+
        }

        impl<'a> $crate::profile::object::Listed<'a> for $type<'a> {
            const USUAL: (usize, usize) = ($usual, $count);

            fn of(object: $crate::profile::object::Object<'a>) -> Self {
                Self(object)
            }

            fn read(
                reader: &mut $crate::json::Reader<'a>,
                arena: &mut $crate::profile::object::Arena<'a>,
            ) -> Result<$crate::profile::object::Place, $crate::json::Unreadable> {
                const { assert!($count <= $crate::profile::object::FIELDS) };
                $(let mut $field = None;)+
                reader.object(|reader, name| {
                    match name.as_ref() {
                        $($name => {
                            let part = <$value as $crate::profile::object::Value<'a>>::read(reader, arena)?;
                            if $field.replace(part).is_some() {
                                return Err($crate::json::Unreadable::Twice($name));
                            }
                        })+
                        _ => reader.skip()?,
                    }
                    Ok(())
                })?;
                let mut object = arena.add($count);
                $(object.store($place, $field.flatten());)+
                Ok(object.place())
            }
        }
    };
}
pub(super) use listed;
