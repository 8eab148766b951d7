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
    /// The items that say something, in order.
    read: Vec<T>,
    /// What every judged item is; empty where all of them are in `read`.
    kinds: Vec<Kind>,
    /// The list as it was written.
    text: &'a str,
    /// How many items are judged.
    judged: usize,
    /// How many there are.
    len: usize,
    /// Where in the text the first item is that is not judged.
    judged_text: usize,
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

impl<'a, T: Takes<'a> + Blank> Takes<'a> for Items<'a, T> {
    fn array(reader: &mut Reader<'a>) -> Result<Field<Self>, Unreadable> {
        let start = reader.position();
        let mut items = Self {
            read: Vec::with_capacity(reader.count_items()),
            kinds: Vec::new(),
            text: "",
            judged: 0,
            len: 0,
            judged_text: 0,
        };
        reader.array(|reader| {
            items.len += 1;
            if reader.take_item() {
                items.judged += 1;
                items.add(Field::read(reader)?);
                items.judged_text = reader.since(start).len();
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
                self.read.push(item);
                Kind::Read
            }
            Field::Absent | Field::Mistyped(_) => Kind::Other,
        };
        if kind != Kind::Read && self.kinds.is_empty() {
            self.kinds.reserve_exact(self.read.capacity());
            self.kinds.resize(self.read.len(), Kind::Read);
        }
        if kind != Kind::Read || !self.kinds.is_empty() {
            self.kinds.push(kind);
        }
    }
}

impl<T> Items<'_, T> {
    /// How many items the list has, those that are not judged, too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the list has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is past the most that are judged.
    #[must_use]
    pub fn past(&self) -> Option<Past> {
        let count = self.len - self.judged;
        let digest = || digest::of(self.text.get(self.judged_text..));
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

impl<T: Blank> Items<'_, T> {
    fn objects(&self) -> impl Iterator<Item = (usize, &T)> {
        let mut read = self.read.iter();
        let kinds = self.kinds.iter().copied().chain(std::iter::repeat(Kind::Read));
        (0..self.judged).zip(kinds).filter_map(move |(index, kind)| match kind {
            Kind::Read => Some((index, read.next()?)),
            Kind::Blank => Some((index, T::blank())),
            Kind::Other => None,
        })
    }
}

impl<T: Blank> Items<'_, T> {
    /// The items that say something, in order; not all of the list, so that a position here is no index.
    pub(crate) fn said(&self) -> &[T] {
        &self.read
    }

    /// The indices and keys of judged items whose key an earlier one has, where `key` gives one.
    ///
    /// By sorting positions: a set of the keys would take more memory than a body of nothing but keys.
    pub(crate) fn repeated<'s>(&'s self, key: impl Fn(&'s T) -> Option<&'s str>) -> Vec<(usize, &'s str)> {
        let keys = || self.read.iter().map(&key);
        if keys().flatten().is_sorted_by(|earlier, later| earlier < later) {
            return Vec::new();
        }
        let key_at = |position: u32| self.read.get(position as usize).and_then(&key);
        let mut order: Vec<u32> = Vec::with_capacity(self.read.len());
        order.extend((0..).zip(keys()).filter(|(_, key)| key.is_some()).map(|(position, _)| position));
        order.sort_unstable_by(|a, b| key_at(*a).cmp(&key_at(*b)).then(a.cmp(b)));
        let mut later: Vec<u32> = order
            .array_windows()
            .filter(|[earlier, later]| key_at(*earlier) == key_at(*later))
            .map(|[_, later]| *later)
            .collect();
        later.sort_unstable();
        let mut later = later.into_iter().peekable();
        let said = self.objects().filter(|(_, item)| !std::ptr::eq(*item, T::blank()));
        said.zip(0..)
            .filter_map(|((index, item), position)| later.next_if_eq(&position).and(Some(index)).zip(key(item)))
            .collect()
    }
}

/// Items that are not judged, or no objects, are the same where they are written the same.
impl<T: PartialEq> PartialEq for Items<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        let is_read = |items: &Self| items.judged == items.len && !items.kinds.contains(&Kind::Other);
        let same_objects = || {
            is_read(self)
                && is_read(other)
                && self.len == other.len
                && self.kinds == other.kinds
                && self.read == other.read
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
        self.set().filter(|items| items.kinds.is_empty())?.read.get(index)
    }
}
