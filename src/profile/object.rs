//! Storage for the objects in lists. Only the fields that are present take memory.
//!
//! The shortest object with a field that rules read is ten bytes long, and a body may consist of such objects. An object
//! takes eight bytes here, plus 24 bytes for each field. A list keeps the fields of all its items one after the other.

use std::{borrow::Cow, fmt};

use super::{Body, Extension, Field, Items, Json, read::Takes};
use crate::json::{Reader, Unreadable};

/// A field that is present.
///
/// [`Object`] compares the objects in fields, because equal objects can have different places in two lists.
#[derive(Debug, PartialEq)]
pub(super) enum Part<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Boolean(bool),
    Body(Body<'a>),
    Object(Place),
    Extensions(Box<Items<'a, Extension<'a>>>),
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
pub(crate) struct Arena<'a>(Chunks<Part<'a>>);

impl<'a> Arena<'a> {
    /// Stores the fields of an object and returns their place.
    pub(super) fn keep<const N: usize>(&mut self, fields: Fields<'a, N>) -> Place {
        let count = fields.parts.iter().flatten().count();
        let (start, chunk) = self.0.reserve(count);
        let mut place = Place { start, order: 0 };
        let mut next = 1;
        for (field, part) in fields.parts.into_iter().enumerate() {
            if let Some(part) = part {
                chunk.push(part);
                place.order |= next << (field * BITS);
                next += 1;
            }
        }
        place
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink();
    }

    pub(super) fn object(&'a self, place: Place) -> Object<'a> {
        Object { arena: self, parts: self.0.from(place.start), order: place.order }
    }
}

/// The fields of an object that is being read.
pub(super) struct Fields<'a, const N: usize> {
    parts: [Option<Part<'a>>; N],
    /// One bit for each field that has been read, including null fields.
    seen: u8,
}

impl<'a, const N: usize> Fields<'a, N> {
    pub(super) fn new() -> Self {
        const { assert!(N * BITS <= u32::BITS as usize && N <= u8::BITS as usize) };
        Self { parts: [const { None }; N], seen: 0 }
    }

    /// Sets a field. A field that occurs twice is an error, because JSON readers differ on which value they use.
    pub(super) fn put(&mut self, field: usize, name: &'static str, part: Option<Part<'a>>) -> Result<(), Unreadable> {
        if self.seen & (1 << field) != 0 {
            return Err(Unreadable::Twice(name));
        }
        self.seen |= 1 << field;
        if let Some(slot) = self.parts.get_mut(field) {
            *slot = part;
        }
        Ok(())
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
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = 0..u32::BITS as usize / BITS;
        f.debug_map().entries(fields.filter_map(|field| Some((field, self.part(field)?)))).finish()
    }
}

impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        (0..u32::BITS as usize / BITS).all(|field| match (self.part(field), other.part(field)) {
            (Some(Part::Object(own)), Some(Part::Object(its))) => self.arena.object(*own) == other.arena.object(*its),
            (own, its) => own == its,
        })
    }
}

/// A type of objects in lists or in list items.
pub(crate) trait Listed<'a>: Copy {
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

fn part<'a, T: Takes<'a>>(reader: &mut Reader<'a>, set: fn(T) -> Part<'a>) -> Result<Option<Part<'a>>, Unreadable> {
    Ok(match Field::read(reader)? {
        Field::Set(value) => Some(set(value)),
        Field::Mistyped(json) => Some(Part::Mistyped(json)),
        Field::Absent => None,
    })
}

macro_rules! value {
    ($type:ty, $read:expr, $object:pat, $part:pat => $value:expr) => {
        impl<'a> Value<'a> for $type {
            fn read(reader: &mut Reader<'a>, _: &mut Arena<'a>) -> Result<Option<Part<'a>>, Unreadable> {
                part(reader, $read)
            }

            #[inline]
            fn field(_: Object<'a>, part: Option<&'a Part<'a>>) -> Field<Self> {
                match part {
                    Some($part) => Field::Set($value),
                    Some(Part::Mistyped(json)) => Field::Mistyped(*json),
                    _ => Field::Absent,
                }
            }
        }
    };
}

value!(&'a str, Part::Text, _, Part::Text(text) => text);
value!(i64, Part::Integer, _, Part::Integer(value) => *value);
value!(bool, Part::Boolean, _, Part::Boolean(value) => *value);
value!(&'a Items<'a, Extension<'a>>, |items: Items<'a, _>| Part::Extensions(Box::new(items.shrunk())), _, Part::Extensions(items) => items);

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
/// [`Place::order`].
macro_rules! listed {
    ($(#[$doc:meta])* $type:ident[$count:literal] {
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
            fn of(object: $crate::profile::object::Object<'a>) -> Self {
                Self(object)
            }

            fn read(
                reader: &mut $crate::json::Reader<'a>,
                arena: &mut $crate::profile::object::Arena<'a>,
            ) -> Result<$crate::profile::object::Place, $crate::json::Unreadable> {
                let mut fields = $crate::profile::object::Fields::<$count>::new();
                reader.object(|reader, name| match name.as_ref() {
                    $($name => {
                        let part = <$value as $crate::profile::object::Value<'a>>::read(reader, arena)?;
                        fields.put($place, $name, part)
                    })+
                    _ => reader.skip(),
                })?;
                Ok(arena.keep(fields))
            }
        }
    };
}
pub(super) use listed;

/// A list that grows by chunks.
///
/// A vector moves its items when it grows. With tens of thousands of items, that takes twice the memory for a moment.
#[derive(Debug)]
pub(super) struct Chunks<X> {
    first: Vec<X>,
    /// The chunks after the first. Few lists have any, so the box keeps the type small.
    rest: Option<Box<Rest<X>>>,
}

#[derive(Debug)]
struct Rest<X>(Vec<Vec<X>>);

/// Maximum number of items in a chunk.
const CHUNK: usize = 512;

impl<X> Default for Chunks<X> {
    fn default() -> Self {
        Self { first: Vec::new(), rest: None }
    }
}

impl<X> Chunks<X> {
    /// Returns a chunk to which `count` more items can be pushed side by side, and the position of the first of them.
    ///
    /// # Panics
    ///
    /// If a position exceeds `u32`. A body of less than 4 GiB cannot cause that.
    fn reserve(&mut self, count: usize) -> (u32, &mut Vec<X>) {
        const FITS_U32: &str = "a body has less than 4 GiB";
        let (before, chunk) = if self.rest.is_none() && self.first.len() + count <= CHUNK {
            (0, &mut self.first)
        } else {
            let Rest(chunks) = self.rest.get_or_insert_with(|| Box::new(Rest(Vec::new()))).as_mut();
            if chunks.last().is_none_or(|chunk| chunk.len() + count > CHUNK) {
                chunks.push(Vec::with_capacity(CHUNK));
            }
            (chunks.len() * CHUNK, chunks.last_mut().expect("one was pushed if there was none"))
        };
        (u32::try_from(before + chunk.len()).expect(FITS_U32), chunk)
    }

    /// Frees the unused capacity of a short list, because a body may hold thousands of lists with one item.
    pub(super) fn shrink(&mut self) {
        /// Capacity of a vector after its first push.
        const FIRST_CAPACITY: usize = 4;
        if self.first.len() < FIRST_CAPACITY {
            self.first.shrink_to_fit();
        }
    }

    pub(super) fn push(&mut self, value: X) {
        self.reserve(1).1.push(value);
    }

    pub(super) fn len(&self) -> usize {
        let rest = self.rest.iter().flat_map(|rest| &rest.0);
        self.first.len() + rest.map(Vec::len).sum::<usize>()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &X> {
        self.first.iter().chain(self.rest.iter().flat_map(|rest| rest.0.iter().flatten()))
    }

    /// Returns the items from a position to the end of its chunk.
    #[inline]
    pub(super) fn from(&self, start: u32) -> &[X] {
        let start = start as usize;
        let (chunk, start) = match start.checked_sub(CHUNK) {
            None => (Some(&self.first), start),
            Some(past) => (self.rest.as_ref().and_then(|rest| rest.0.get(past / CHUNK)), past % CHUNK),
        };
        chunk.and_then(|chunk| chunk.get(start..)).unwrap_or_default()
    }
}
