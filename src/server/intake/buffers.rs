//! Memory for bodies that are too large for the allocator's good.

use std::{
    io, mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use memmap2::MmapMut;
use tokio::time::Instant;

/// Buffers that are used again and again.
///
/// Each is a mapping of its own. The allocator would keep megabytes in each thread's arena, for ever; and it would fetch them
/// from the system anew, page by page, for nearly every body, which costs a third of a review.
///
/// Memory that is used again is there in whole, however little a body puts into it, and whatever room that body takes. So it
/// has a limit of its own, spare or in use: past that, buffers are given back to the system once they are done with.
pub(in crate::server) struct Buffers {
    /// Bytes of all memory that is used again, at most.
    most: usize,
    kept: Mutex<Kept>,
}

/// Memory that is used again.
#[derive(Default)]
struct Kept {
    spares: Vec<Spare>,
    /// Of the spares, and of what was one and is in use.
    bytes: usize,
}

struct Spare {
    memory: MmapMut,
    since: Instant,
}

/// A buffer of a fixed size, and what it has been filled with.
pub(in crate::server) struct Buffer {
    memory: Option<MmapMut>,
    len: usize,
    is_kept: bool,
    home: Arc<Buffers>,
}

/// For how long a buffer is kept that nobody needs: longer than between two large writes of a controller that is busy.
pub(in crate::server) const KEPT: Duration = Duration::from_secs(4);

impl Buffers {
    /// Buffers of which no more than so many bytes are used again.
    pub(in crate::server) fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// An empty buffer for so many bytes, or more.
    ///
    /// Where every spare one is too small, the largest gives way: so there are never more than were used at a time.
    ///
    /// # Errors
    ///
    /// The system's, where it has no memory.
    pub(in crate::server) fn take(self: &Arc<Self>, bytes: usize) -> io::Result<Buffer> {
        let spare = self.kept().take(bytes);
        let is_kept = spare.is_some();
        let memory = spare.map_or_else(|| MmapMut::map_anon(bytes), Ok)?;
        Ok(Buffer { memory: Some(memory), len: 0, is_kept, home: Arc::clone(self) })
    }

    /// Gives back to the system what nobody has needed for as long as it is kept.
    pub(in crate::server) fn tidy(&self) {
        let unneeded = self.kept().take_unneeded();
        drop(unneeded);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The smallest spare memory for so many bytes, which counts as long as it is in use.
    fn take(&mut self, bytes: usize) -> Option<MmapMut> {
        let size = |index: &usize| self.spares.get(*index).map(|spare| spare.memory.len());
        let indices = 0..self.spares.len();
        let best = indices.clone().filter(|index| size(index) >= Some(bytes)).min_by_key(size);
        let index = best.or_else(|| indices.max_by_key(size))?;
        let memory = self.spares.swap_remove(index).memory;
        if memory.len() < bytes {
            self.bytes -= memory.len();
            return None;
        }
        Some(memory)
    }

    fn take_unneeded(&mut self) -> Vec<Spare> {
        let spares = mem::take(&mut self.spares).into_iter();
        let (kept, unneeded): (_, Vec<_>) = spares.partition(|spare| spare.since.elapsed() < KEPT);
        self.spares = kept;
        self.bytes -= unneeded.iter().map(|spare| spare.memory.len()).sum::<usize>();
        unneeded
    }
}

impl Buffer {
    /// Adds `part`, if it fits.
    #[must_use]
    pub(in crate::server) fn add(&mut self, part: &[u8]) -> bool {
        let space = self.memory.as_mut().and_then(|memory| memory.get_mut(self.len..self.len + part.len()));
        let fits = space.map(|space| space.copy_from_slice(part)).is_some();
        if fits {
            self.len += part.len();
        }
        fits
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.as_deref().and_then(|memory| memory.get(..self.len)).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else { return };
        let mut kept = self.home.kept();
        if !self.is_kept {
            if kept.bytes + memory.len() > self.home.most {
                return;
            }
            kept.bytes += memory.len();
        }
        kept.spares.push(Spare { memory, since: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Buffers;

    #[test]
    fn buffers_are_used_again_and_never_more_than_at_a_time() {
        let buffers = Arc::new(Buffers::new(1000));
        let sizes = || {
            let mut sizes: Vec<_> = buffers.kept().spares.iter().map(|spare| spare.memory.len()).collect();
            sizes.sort_unstable();
            sizes
        };
        drop((buffers.take(100).unwrap(), buffers.take(300).unwrap()));
        assert_eq!(sizes(), [100, 300]);
        drop(buffers.take(50).unwrap());
        assert_eq!(sizes(), [100, 300]);
        let mut smallest = buffers.take(80).unwrap();
        assert_eq!(sizes(), [300]);
        drop(buffers.take(400).unwrap());
        assert_eq!(sizes(), [400]);
        assert!(smallest.add(&[1; 90]) && smallest.add(&[2; 10]) && !smallest.add(&[3]));
        assert_eq!(smallest.iter().map(|byte| usize::from(*byte)).sum::<usize>(), 110);
        drop(smallest);
        assert!(buffers.take(100).unwrap().is_empty());
    }
    #[test]
    fn what_is_used_again_has_a_limit_while_it_is_in_use_too() {
        let buffers = Arc::new(Buffers::new(300));
        let held = || {
            let kept = buffers.kept();
            (kept.spares.len(), kept.bytes)
        };
        drop((buffers.take(100).unwrap(), buffers.take(100).unwrap()));
        assert_eq!(held(), (2, 200));
        let stalling: Vec<_> = (0..9)
            .map(|_| {
                drop(buffers.take(100).unwrap());
                buffers.take(10).unwrap()
            })
            .collect();
        assert_eq!(held(), (0, 300), "buffers of bodies that stall count");
        drop(buffers.take(100).unwrap());
        assert_eq!(held(), (0, 300), "what is too much is given back");
        drop(stalling);
        assert_eq!(held(), (3, 300));
        drop(buffers.take(400).unwrap());
        assert_eq!(held(), (2, 200), "so is what never fits");
    }
}
