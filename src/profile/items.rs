//! The lists of an object, with a limit on the items that rules judge.

use std::{iter, marker::PhantomData};

use super::{
    Json,
    chunks::Chunks,
    object::{Arena, Listed, Object, Place},
    read::{Field, Takes},
};
use crate::{
    digest,
    json::{Reader, Unreadable},
};

/// Maximum number of items that rules judge, over all lists of an object. Items after the limit are not judged.
///
/// An object that fits into etcd cannot exceed the limit if each item has a field that rules read.
pub const MAX_ITEMS: usize = 65_536;

/// A list. Its items are objects or, if a client sends a wrong type, any other JSON.
///
/// An object is *filled* if it has a field that rules read, and *blank* otherwise. A blank object or another value takes as
/// little as two bytes of a body, so it takes only one byte of memory here.
#[derive(Debug)]
pub struct Items<'a, T> {
    /// The filled objects, in order.
    filled: Chunks<Place>,
    /// The fields of the filled objects.
    arena: Arena<'a>,
    /// The kind of every judged item; empty if all of them are filled objects.
    kinds: Vec<Kind>,
    /// The list as written.
    text: &'a str,
    /// Number of judged items.
    judged: u32,
    /// Number of all items.
    len: u32,
    /// Position in the text after the last judged item.
    judged_text: u32,
    item: PhantomData<T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An object with a field that rules read.
    Filled,
    /// An object without such a field.
    Blank,
    /// Null, or a value of another JSON type.
    Other,
}

/// The items of a list after the limit [`MAX_ITEMS`], which are not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// Number of items.
    pub count: usize,
    /// A digest of their text.
    pub digest: u64,
}

impl<'a, T: Listed<'a>> Takes<'a> for Items<'a, T> {
    fn array(reader: &mut Reader<'a>) -> Result<Field<Self>, Unreadable> {
        const FITS_U32: &str = "a body has less than 4 GiB";
        let start = reader.position();
        let mut items = Self {
            filled: Chunks::default(),
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
                items.judged_text = u32::try_from(reader.since(start).len()).expect(FITS_U32);
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
            if self.judged == 1 {
                let (items, parts) = T::USUAL;
                self.filled.allocate(items);
                self.arena.allocate(items * parts);
            }
            let place = T::read(reader, &mut self.arena)?;
            if place.is_blank() {
                Kind::Blank
            } else {
                self.filled.push(place);
                Kind::Filled
            }
        } else {
            Json::read(reader)?;
            Kind::Other
        };
        if kind == Kind::Filled && self.kinds.is_empty() {
            return Ok(());
        }
        if self.kinds.is_empty() {
            self.kinds.resize(self.judged as usize - 1, Kind::Filled);
        }
        self.kinds.push(kind);
        Ok(())
    }
}

impl<T> Items<'_, T> {
    fn filled(&self) -> impl Iterator<Item = Object<'_>> {
        let arena = &self.arena;
        self.filled.iter().map(|place| arena.object(*place))
    }

    /// Returns the number of filled objects.
    pub(crate) fn filled_len(&self) -> u32 {
        u32::try_from(self.filled.len()).unwrap_or(u32::MAX)
    }

    /// Returns the number of all items, including those that are not judged.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns whether the list has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the items after the limit, if there are any.
    #[must_use]
    pub fn past(&self) -> Option<Past> {
        let count = (self.len - self.judged) as usize;
        let digest = || digest::of(self.text.get(self.judged_text as usize..));
        (count > 0).then(|| Past { count, digest: digest() })
    }

    /// Calls `visit` with the index and the value of every judged item that is not an object.
    pub fn each_non_object(&self, mut visit: impl FnMut(usize, Json)) {
        if !self.kinds.contains(&Kind::Other) {
            return;
        }
        let mut kinds = self.kinds.iter().enumerate();
        // The list has been read before, so a second read cannot fail.
        let _ = Reader::new(self.text, 0).array(|reader| {
            match kinds.next() {
                Some((index, Kind::Other)) => visit(index, Json::read(reader)?),
                _ => reader.skip()?,
            }
            Ok(())
        });
    }
}

#[expect(private_bounds, reason = "reading is the crate's own")]
impl<'a, T: Listed<'a>> Items<'a, T> {
    /// Returns the judged items that are objects, with their indices.
    pub fn objects(&'a self) -> impl Iterator<Item = (usize, T)> {
        let mut position = 0;
        (0..self.judged as usize).filter_map(move |index| match self.kinds.get(index) {
            None | Some(Kind::Filled) => {
                let item = self.filled_at(position)?;
                position += 1;
                Some((index, item))
            }
            Some(Kind::Blank) => Some((index, T::of(Object::blank(&self.arena)))),
            Some(Kind::Other) => None,
        })
    }

    /// Returns the filled object at a position among the filled objects.
    ///
    /// The position differs from the item's index if blank objects or other values come before it.
    #[inline]
    pub(crate) fn filled_at(&'a self, position: u32) -> Option<T> {
        self.filled.from(position).first().map(|place| T::of(self.arena.object(*place)))
    }

    /// Returns the index and the key of each judged item that repeats the key of an earlier item.
    ///
    /// It ignores items for which `key` returns `None`. It sorts positions, because a set of keys takes more memory than a body
    /// of only keys.
    pub(crate) fn repeated(&'a self, key: impl Fn(T) -> Option<&'a str>) -> impl Iterator<Item = (usize, &'a str)> {
        let mut later = self.repeated_positions(&key).into_iter().peekable();
        let filled = self.filled_indices().zip(0..);
        filled.filter_map(move |(index, position)| {
            later.next_if_eq(&position).and_then(|position| key(self.filled_at(position)?)).map(|key| (index, key))
        })
    }

    /// Returns the indices of the filled objects among all items.
    fn filled_indices(&self) -> impl Iterator<Item = usize> {
        let kinds = self.kinds.iter().copied().chain(iter::repeat(Kind::Filled));
        (0..self.judged as usize).zip(kinds).filter(|(_, kind)| *kind == Kind::Filled).map(|(index, _)| index)
    }

    fn repeated_positions(&'a self, key: impl Fn(T) -> Option<&'a str>) -> Vec<u32> {
        let keys = || self.filled().map(|object| key(T::of(object)));
        if keys().flatten().is_sorted_by(|earlier, later| earlier < later) {
            return Vec::new();
        }
        let key_at = |position: u32| self.filled_at(position).and_then(&key);
        let mut order: Vec<u32> = Vec::with_capacity(self.filled_len() as usize);
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

/// Two lists are equal if their text is equal, or if both contain only judged objects and these are equal.
impl<T> PartialEq for Items<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        let all_objects_judged = |items: &Self| items.judged == items.len && !items.kinds.contains(&Kind::Other);
        let same_objects = || {
            all_objects_judged(self)
                && all_objects_judged(other)
                && self.len == other.len
                && self.kinds == other.kinds
                && self.filled().eq(other.filled())
        };
        self.text == other.text || same_objects()
    }
}

#[expect(private_bounds, reason = "reading is the crate's own")]
impl<'a, T: Listed<'a>> Field<Items<'a, T>> {
    /// Returns the judged items that are objects, with their indices.
    pub fn items(&'a self) -> impl Iterator<Item = (usize, T)> {
        self.set().into_iter().flat_map(Items::objects)
    }

    /// Returns the judged item at an index, if all judged items of the list are filled objects.
    ///
    /// Otherwise it returns `None`, because it would have to search for the item.
    #[must_use]
    pub fn get(&'a self, index: usize) -> Option<T> {
        self.set().filter(|items| items.kinds.is_empty())?.filled_at(u32::try_from(index).ok()?)
    }
}

#[expect(private_bounds, reason = "reading is the crate's own")]
impl<'a, T: Listed<'a>> Field<&'a Items<'a, T>> {
    /// Returns the judged items that are objects, with their indices.
    pub fn items(self) -> impl Iterator<Item = (usize, T)> {
        self.into_set().into_iter().flat_map(Items::objects)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::profile::{ClusterProfile, Field};

    fn providers(count: usize) -> Vec<Value> {
        let provider = |number: usize| match number % 5 {
            0 => json!({"name": format!("p{number}")}),
            1 => json!({"cluster": {"server": format!("https://{number}"), "proxy-url": number}}),
            2 => json!({}),
            3 => json!({"cluster": {"extensions": [{"name": format!("e{number}")}, 0]}, "name": "\n"}),
            _ => json!(number),
        };
        (0..count).map(provider).collect()
    }

    #[test]
    fn every_item_of_a_long_list_keeps_its_fields() {
        let list = providers(4000);
        let text = json!({"status": {"accessProviders": list}}).to_string();
        let Ok(Field::Set(profile)) = ClusterProfile::parse(&text) else { panic!("it is a profile") };
        let status = profile.status.set().expect("it has one");
        let items: Vec<_> = status.access_providers.items().collect();
        assert_eq!(items.len(), 3200);
        for (index, provider) in items {
            let written = list.get(index).expect("it was written");
            assert_eq!(provider.name().text(), written["name"].as_str());
            let cluster = provider.cluster().into_set();
            assert_eq!(cluster.is_some(), written["cluster"].is_object());
            let Some(cluster) = cluster else { continue };
            assert_eq!(cluster.server().text(), written["cluster"]["server"].as_str());
            assert_eq!(cluster.proxy_url().mistyped().is_some(), written["cluster"]["proxy-url"].is_number());
            let extensions: Vec<_> = cluster.extensions().items().collect();
            assert_eq!(extensions.len(), usize::from(written["cluster"]["extensions"].is_array()));
            for (_, extension) in extensions {
                assert_eq!(extension.name().text(), written["cluster"]["extensions"][0]["name"].as_str());
            }
        }
    }

    #[test]
    fn items_are_equal_wherever_they_stand_and_however_they_are_written() {
        let whole =
            r#"{"status":{"conditions":[{"status":"a","type":"b"}],"accessProviders":[{"cluster":{"server":"c"}}]}}"#;
        let other = r#"{"status":{"accessProviders":[{"name":null,"cluster":{"server":"\u0063"}}],"conditions":[{"type":"b","status":"a"}]}}"#;
        let changed = other.replace("0063", "0064");
        let read = |text| ClusterProfile::parse(text).expect("it is JSON");
        assert_eq!(read(whole), read(other));
        assert_ne!(read(whole), read(&changed));
    }

    #[test]
    fn a_field_that_is_there_twice_is_an_error() {
        for twice in [r#"{"type":"a","type":"a"}"#, r#"{"type":null,"t\u0079pe":1}"#] {
            let text = format!(r#"{{"status":{{"conditions":[{twice}]}}}}"#);
            assert_eq!(ClusterProfile::parse(&text), Err("duplicate field `type`".to_owned()), "{twice}");
        }
    }
}
