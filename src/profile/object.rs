//! Objects of lists: only the fields that are present take memory.
//!
//! The shortest item that says something is ten bytes of a body, and a body may hold nothing else. So an item is eight bytes
//! here and 24 for each of its fields, which lie one after the other for all items of a list.

use std::{borrow::Cow, fmt};

use super::{Body, Extension, Field, Items, Json, read::Takes};
use crate::json::{Reader, Unreadable};

/// A field that is present.
///
/// Objects are compared by [`Object`], since the same object may have another place in another list.
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

const _: () = assert!(size_of::<Part<'_>>() == 24, "an item's memory is counted by it");

/// Where an object's parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    start: u32,
    /// For each field four bits, the lowest for the first: one more than its distance from the start, or 0 if it is absent.
    order: u32,
}

const BITS: usize = 4;

impl Place {
    /// Whether the object has no fields.
    pub(super) fn is_blank(self) -> bool {
        self.order == 0
    }
}

/// The parts of all items of a list, and of the objects in them.
#[derive(Debug, Default)]
pub(crate) struct Arena<'a>(Chunks<Part<'a>>);

impl<'a> Arena<'a> {
    /// Keeps the fields of an object.
    pub(super) fn keep<const N: usize>(&mut self, fields: Fields<'a, N>) -> Place {
        let count = fields.parts.iter().flatten().count();
        let (start, chunk) = self.0.room(count);
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

/// The fields of an object while it is read.
pub(super) struct Fields<'a, const N: usize> {
    parts: [Option<Part<'a>>; N],
    /// A bit for each field that has been read, null or not.
    seen: u8,
}

impl<'a, const N: usize> Fields<'a, N> {
    pub(super) fn new() -> Self {
        const { assert!(N * BITS <= u32::BITS as usize && N <= u8::BITS as usize) };
        Self { parts: [const { None }; N], seen: 0 }
    }

    /// Takes a field; one that is there twice is an error, for readers differ on which counts.
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

/// An object in a list, or in an item of one.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    arena: &'a Arena<'a>,
    /// From its own first part on.
    parts: &'a [Part<'a>],
    order: u32,
}

impl<'a> Object<'a> {
    /// One without fields.
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

/// A type of objects that stand in lists, or in items of lists.
pub(crate) trait Listed<'a>: Copy {
    /// The object as one of this type.
    fn of(object: Object<'a>) -> Self;

    /// Reads the object that is next.
    fn read(reader: &mut Reader<'a>, arena: &mut Arena<'a>) -> Result<Place, Unreadable>;
}

/// The type of a field of such an object.
pub(super) trait Value<'a>: Sized {
    /// Reads the next value; none where it is null.
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

/// No value.
enum Never {}

impl Takes<'_> for Never {}

/// A view of an object by the names of its fields, each at the place that it is kept by.
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

/// A list that grows without being moved: growing one of tens of thousands would for a moment take twice its memory.
#[derive(Debug)]
pub(super) struct Chunks<X> {
    first: Vec<X>,
    /// What hardly any list has.
    rest: Option<Box<Rest<X>>>,
}

#[derive(Debug)]
struct Rest<X>(Vec<Vec<X>>);

/// Most that is kept in one piece.
const CHUNK: usize = 512;

impl<X> Default for Chunks<X> {
    fn default() -> Self {
        Self { first: Vec::new(), rest: None }
    }
}

impl<X> Chunks<X> {
    /// Where so many more may be pushed to stand side by side, and the position of the first of them.
    ///
    /// # Panics
    ///
    /// Where there are more than fit into a body of 4 GiB.
    fn room(&mut self, count: usize) -> (u32, &mut Vec<X>) {
        /// A body that is as long as a place in a list does not come in.
        const SHORT: &str = "a body has less than 4 GiB";
        let (before, chunk) = if self.rest.is_none() && self.first.len() + count <= CHUNK {
            (0, &mut self.first)
        } else {
            let Rest(chunks) = self.rest.get_or_insert_with(|| Box::new(Rest(Vec::new()))).as_mut();
            if chunks.last().is_none_or(|chunk| chunk.len() + count > CHUNK) {
                chunks.push(Vec::with_capacity(CHUNK));
            }
            (chunks.len() * CHUNK, chunks.last_mut().expect("one was pushed if there was none"))
        };
        (u32::try_from(before + chunk.len()).expect(SHORT), chunk)
    }

    /// Gives back what a short list has room for: a body may hold thousands of lists of one item.
    pub(super) fn shrink(&mut self) {
        /// What a vector takes at first.
        const LEAST: usize = 4;
        if self.first.len() < LEAST {
            self.first.shrink_to_fit();
        }
    }

    pub(super) fn push(&mut self, value: X) {
        self.room(1).1.push(value);
    }

    pub(super) fn len(&self) -> usize {
        let rest = self.rest.iter().flat_map(|rest| &rest.0);
        self.first.len() + rest.map(Vec::len).sum::<usize>()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &X> {
        self.first.iter().chain(self.rest.iter().flat_map(|rest| rest.0.iter().flatten()))
    }

    /// What stands beside that position, from there on.
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
