//! Lists that grow without moving their items.

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
    #[inline]
    pub(super) fn reserve(&mut self, count: usize) -> (u32, &mut Vec<X>) {
        let (before, chunk) = if self.rest.is_none() && self.first.len() + count <= CHUNK {
            (0, &mut self.first)
        } else {
            self.reserve_in_rest(count)
        };
        (u32::try_from(before + chunk.len()).expect("a body has less than 4 GiB"), chunk)
    }

    #[cold]
    fn reserve_in_rest(&mut self, count: usize) -> (usize, &mut Vec<X>) {
        let Rest(chunks) = self.rest.get_or_insert_with(|| Box::new(Rest(Vec::new()))).as_mut();
        if chunks.last().is_none_or(|chunk| chunk.len() + count > CHUNK) {
            chunks.push(Vec::with_capacity(CHUNK));
        }
        (chunks.len() * CHUNK, chunks.last_mut().expect("one was pushed if there was none"))
    }

    /// Allocates memory for `count` items and no more, because a body may hold thousands of lists with one item.
    pub(super) fn allocate(&mut self, count: usize) {
        self.first.reserve_exact(count);
    }

    /// Adds an item and returns its position.
    #[inline]
    pub(super) fn push(&mut self, value: X) -> u32 {
        let (position, chunk) = self.reserve(1);
        chunk.push(value);
        position
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
