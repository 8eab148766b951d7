//! Lists, as far as rules read them.

use super::{
    Json,
    read::{Blank, Field, Takes},
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
    /// The items that say something, in order: the first [`CHUNK`] of them.
    first: Vec<T>,
    /// What hardly any list has.
    rest: Option<Box<Rest<T>>>,
    /// The list as it was written.
    text: &'a str,
    /// How many items are judged.
    judged: u32,
    /// How many there are.
    len: u32,
    /// Where in the text the first item is that is not judged.
    judged_text: u32,
}

#[derive(Debug)]
struct Rest<T> {
    /// The items that say something, past the first, [`CHUNK`] by [`CHUNK`].
    chunks: Vec<Vec<T>>,
    /// What every judged item is; empty where all of them say something.
    kinds: Vec<Kind>,
}

/// Items that are kept together: growing a list of tens of thousands would for a moment take twice its memory.
const CHUNK: usize = 512;

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

impl<'a, T: Takes<'a> + Blank> Takes<'a> for Items<'a, T> {
    fn array(reader: &mut Reader<'a>) -> Result<Field<Self>, Unreadable> {
        /// A body that is as long as a count or a place in it does not come in.
        const SHORT: &str = "a body has less than 4 GiB";
        let start = reader.position();
        let mut items = Self { first: Vec::new(), rest: None, text: "", judged: 0, len: 0, judged_text: 0 };
        reader.array(|reader| {
            items.len += 1;
            if reader.take_item() {
                items.judged += 1;
                items.add(Field::read(reader)?);
                items.judged_text = u32::try_from(reader.since(start).len()).expect(SHORT);
                return Ok(());
            }
            reader.skip()
        })?;
        items.text = reader.since(start);
        Ok(Field::Set(items))
    }
}

impl<T: Blank> Items<'_, T> {
    fn add(&mut self, item: Field<T>) {
        let kind = match item {
            Field::Set(item) if item == *T::blank() => Kind::Blank,
            Field::Set(item) => {
                self.push(item);
                Kind::Read
            }
            Field::Absent | Field::Mistyped(_) => Kind::Other,
        };
        if kind == Kind::Read && self.kinds().is_empty() {
            return;
        }
        let before = self.judged as usize - 1;
        let kinds = &mut self.rest().kinds;
        if kinds.is_empty() {
            kinds.resize(before, Kind::Read);
        }
        kinds.push(kind);
    }

    fn push(&mut self, item: T) {
        if self.first.len() < CHUNK {
            return self.first.push(item);
        }
        let chunks = &mut self.rest().chunks;
        if let Some(chunk) = chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            return chunk.push(item);
        }
        let mut chunk = Vec::with_capacity(CHUNK);
        chunk.push(item);
        chunks.push(chunk);
    }

    fn rest(&mut self) -> &mut Rest<T> {
        self.rest.get_or_insert_with(|| Box::new(Rest { chunks: Vec::new(), kinds: Vec::new() }))
    }
}

impl<T> Items<'_, T> {
    fn kinds(&self) -> &[Kind] {
        self.rest.as_ref().map_or(&[], |rest| &rest.kinds)
    }

    /// The items that say something, in order.
    fn said(&self) -> impl Iterator<Item = &T> {
        let chunks = self.rest.iter().flat_map(|rest| &rest.chunks);
        self.first.iter().chain(chunks.flatten())
    }

    /// How many items say something.
    pub(crate) fn said_len(&self) -> u32 {
        let chunks = self.rest.iter().flat_map(|rest| &rest.chunks).map(Vec::len).sum::<usize>();
        u32::try_from(self.first.len() + chunks).unwrap_or(u32::MAX)
    }

    /// The item at that position among those that say something, which is no index where others stand between them.
    pub(crate) fn said_at(&self, position: u32) -> Option<&T> {
        let position = position as usize;
        match position.checked_sub(CHUNK) {
            None => self.first.get(position),
            Some(position) => self.rest.as_ref()?.chunks.get(position / CHUNK)?.get(position % CHUNK),
        }
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
        if !self.kinds().contains(&Kind::Other) {
            return;
        }
        let mut kinds = self.kinds().iter().enumerate();
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

impl<T: Blank> Items<'_, T> {
    fn objects(&self) -> impl Iterator<Item = (usize, &T)> {
        let mut read = self.said();
        let kinds = self.kinds().iter().copied().chain(std::iter::repeat(Kind::Read));
        (0..self.judged as usize).zip(kinds).filter_map(move |(index, kind)| match kind {
            Kind::Read => Some((index, read.next()?)),
            Kind::Blank => Some((index, T::blank())),
            Kind::Other => None,
        })
    }
}

impl<T: Blank> Items<'_, T> {
    /// The indices and keys of judged items whose key an earlier one has, where `key` gives one.
    ///
    /// By sorting positions: a set of the keys would take more memory than a body of nothing but keys.
    pub(crate) fn repeated<'s>(
        &'s self,
        key: impl Fn(&'s T) -> Option<&'s str>,
    ) -> impl Iterator<Item = (usize, &'s str)> {
        let mut later = self.repeated_positions(&key).into_iter().peekable();
        let said = self.objects().filter(|(_, item)| !std::ptr::eq(*item, T::blank()));
        said.zip(0..)
            .filter_map(move |((index, item), position)| later.next_if_eq(&position).and(Some(index)).zip(key(item)))
    }

    fn repeated_positions<'s>(&'s self, key: impl Fn(&'s T) -> Option<&'s str>) -> Vec<u32> {
        let keys = || self.said().map(&key);
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
impl<T: PartialEq> PartialEq for Items<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        let is_read = |items: &Self| items.judged == items.len && !items.kinds().contains(&Kind::Other);
        let same_objects = || {
            is_read(self)
                && is_read(other)
                && self.len == other.len
                && self.kinds() == other.kinds()
                && self.said().eq(other.said())
        };
        self.text == other.text || same_objects()
    }
}

impl<T: Blank> Field<Items<'_, T>> {
    /// Judged items of the right type, with their index.
    pub fn items(&self) -> impl Iterator<Item = (usize, &T)> {
        self.set().into_iter().flat_map(Items::objects)
    }

    /// The judged item at that index, in a list whose items are all objects that say something; none in any other, where
    /// finding it would take a search.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.set().filter(|items| items.kinds().is_empty())?.said_at(u32::try_from(index).ok()?)
    }
}
