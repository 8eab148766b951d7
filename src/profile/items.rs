//! Lists, as far as rules read them.

use std::{iter, marker::PhantomData};

use super::{
    Json,
    object::{Arena, Chunks, Listed, Object, Place},
    read::{Field, Takes},
};
use crate::{
    digest,
    json::{Reader, Unreadable},
};

/// Most items of all lists of an object that rules read, together.
///
/// Past what any object that etcd can hold has room for, if each says something. What is past them is not judged.
pub const MAX_ITEMS: usize = 65_536;

/// A list: items that are objects, and what else stands between them.
///
/// An item that is no object, or one without fields, is two bytes of a body; it takes one byte here.
#[derive(Debug)]
pub struct Items<'a, T> {
    /// The items that say something, in order.
    said: Chunks<Place>,
    /// Their fields.
    arena: Arena<'a>,
    /// What every judged item is; empty where all of them say something.
    kinds: Vec<Kind>,
    /// The list as it was written.
    text: &'a str,
    /// How many items are judged.
    judged: u32,
    /// How many there are.
    len: u32,
    /// Where in the text the first item is that is not judged.
    judged_text: u32,
    item: PhantomData<T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An object that says something.
    Read,
    /// An object that says nothing.
    Blank,
    /// Null, or of another type.
    Other,
}

/// What of a list is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// How many items.
    pub count: usize,
    /// A digest of them.
    pub digest: u64,
}

impl<'a, T: Listed<'a>> Takes<'a> for Items<'a, T> {
    fn array(reader: &mut Reader<'a>) -> Result<Field<Self>, Unreadable> {
        /// A body that is as long as a count or a place in it does not come in.
        const SHORT: &str = "a body has less than 4 GiB";
        let start = reader.position();
        let mut items = Self {
            said: Chunks::default(),
            arena: Arena::default(),
            kinds: Vec::new(),
            text: "",
            judged: 0,
            len: 0,
            judged_text: 0,
            item: PhantomData,
        };
        reader.array(|reader| {
            items.len += 1;
            if reader.take_item() {
                items.judged += 1;
                items.add(reader)?;
                items.judged_text = u32::try_from(reader.since(start).len()).expect(SHORT);
                return Ok(());
            }
            reader.skip()
        })?;
        items.text = reader.since(start);
        Ok(Field::Set(items))
    }
}

#[expect(private_bounds, reason = "reading is the crate's own")]
impl<'a, T: Listed<'a>> Items<'a, T> {
    fn add(&mut self, reader: &mut Reader<'a>) -> Result<(), Unreadable> {
        let kind = if reader.peek() == Some(b'{') {
            let place = T::read(reader, &mut self.arena)?;
            if place.is_blank() {
                Kind::Blank
            } else {
                self.said.push(place);
                Kind::Read
            }
        } else {
            Json::read(reader)?;
            Kind::Other
        };
        if kind == Kind::Read && self.kinds.is_empty() {
            return Ok(());
        }
        if self.kinds.is_empty() {
            self.kinds.resize(self.judged as usize - 1, Kind::Read);
        }
        self.kinds.push(kind);
        Ok(())
    }
}

impl<T> Items<'_, T> {
    /// The items that say something, in order.
    fn said(&self) -> impl Iterator<Item = Object<'_>> {
        let arena = &self.arena;
        self.said.iter().map(|place| arena.object(*place))
    }

    /// The list in no more memory than it needs.
    pub(super) fn shrunk(mut self) -> Self {
        self.said.shrink();
        self.arena.shrink();
        self
    }

    /// How many items say something.
    pub(crate) fn said_len(&self) -> u32 {
        u32::try_from(self.said.len()).unwrap_or(u32::MAX)
    }

    /// How many items the list has, those that are not judged, too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the list has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is past the most that are judged.
    #[must_use]
    pub fn past(&self) -> Option<Past> {
        let count = (self.len - self.judged) as usize;
        let digest = || digest::of(self.text.get(self.judged_text as usize..));
        (count > 0).then(|| Past { count, digest: digest() })
    }

    /// Calls `tell` with every judged item that is no object, and its index.
    pub fn each_other(&self, mut tell: impl FnMut(usize, Json)) {
        if !self.kinds.contains(&Kind::Other) {
            return;
        }
        let mut kinds = self.kinds.iter().enumerate();
        // The list has been read once, so it is sound.
        let _ = Reader::new(self.text, 0).array(|reader| {
            match kinds.next() {
                Some((index, Kind::Other)) => tell(index, Json::read(reader)?),
                _ => reader.skip()?,
            }
            Ok(())
        });
    }
}

#[expect(private_bounds, reason = "reading is the crate's own")]
impl<'a, T: Listed<'a>> Items<'a, T> {
    /// Judged items that are objects, with their index.
    pub fn objects(&'a self) -> impl Iterator<Item = (usize, T)> {
        let blank = Object::blank(&self.arena);
        let mut said = self.said();
        let kinds = self.kinds.iter().copied().chain(iter::repeat(Kind::Read));
        (0..self.judged as usize).zip(kinds).filter_map(move |(index, kind)| match kind {
            Kind::Read => Some((index, T::of(said.next()?))),
            Kind::Blank => Some((index, T::of(blank))),
            Kind::Other => None,
        })
    }

    /// The item at that position among those that say something, which is no index where others stand between them.
    pub(crate) fn said_at(&'a self, position: u32) -> Option<T> {
        self.said.from(position).first().map(|place| T::of(self.arena.object(*place)))
    }

    /// The indices and keys of judged items whose key an earlier one has, where `key` gives one.
    ///
    /// By sorting positions: a set of the keys would take more memory than a body of nothing but keys.
    pub(crate) fn repeated(&'a self, key: impl Fn(T) -> Option<&'a str>) -> impl Iterator<Item = (usize, &'a str)> {
        let mut later = self.repeated_positions(&key).into_iter().peekable();
        let said = self.indices().zip(0..);
        said.filter_map(move |(index, position)| {
            later.next_if_eq(&position).and_then(|position| key(self.said_at(position)?)).map(|key| (index, key))
        })
    }

    /// The indices of the items that say something.
    fn indices(&self) -> impl Iterator<Item = usize> {
        let kinds = self.kinds.iter().copied().chain(iter::repeat(Kind::Read));
        (0..self.judged as usize).zip(kinds).filter(|(_, kind)| *kind == Kind::Read).map(|(index, _)| index)
    }

    fn repeated_positions(&'a self, key: impl Fn(T) -> Option<&'a str>) -> Vec<u32> {
        let keys = || self.said().map(|object| key(T::of(object)));
        if keys().flatten().is_sorted_by(|earlier, later| earlier < later) {
            return Vec::new();
        }
        let key_at = |position: u32| self.said_at(position).and_then(&key);
        let mut order: Vec<u32> = Vec::with_capacity(self.said_len() as usize);
        order.extend((0..).zip(keys()).filter(|(_, key)| key.is_some()).map(|(position, _)| position));
        order.sort_unstable_by(|a, b| key_at(*a).cmp(&key_at(*b)).then(a.cmp(b)));
        let mut last = None;
        order.retain(|position| {
            let key = key_at(*position);
            std::mem::replace(&mut last, key) == key
        });
        order.sort_unstable();
        order
    }
}

/// Items that are not judged, or no objects, are the same where they are written the same.
impl<T> PartialEq for Items<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        let is_read = |items: &Self| items.judged == items.len && !items.kinds.contains(&Kind::Other);
        let same_objects = || {
            is_read(self)
                && is_read(other)
                && self.len == other.len
                && self.kinds == other.kinds
                && self.said().eq(other.said())
        };
        self.text == other.text || same_objects()
    }
}

#[expect(private_bounds, reason = "reading is the crate's own")]
impl<'a, T: Listed<'a>> Field<Items<'a, T>> {
    /// Judged items of the right type, with their index.
    pub fn items(&'a self) -> impl Iterator<Item = (usize, T)> {
        self.set().into_iter().flat_map(Items::objects)
    }

    /// The judged item at that index, in a list whose items are all objects that say something; none in any other, where
    /// finding it would take a search.
    #[must_use]
    pub fn get(&'a self, index: usize) -> Option<T> {
        self.set().filter(|items| items.kinds.is_empty())?.said_at(u32::try_from(index).ok()?)
    }
}

#[expect(private_bounds, reason = "reading is the crate's own")]
impl<'a, T: Listed<'a>> Field<&'a Items<'a, T>> {
    /// Judged items of the right type, with their index.
    pub fn items(self) -> impl Iterator<Item = (usize, T)> {
        self.into_set().into_iter().flat_map(Items::objects)
    }
}
