//! Reusable buffers for large bodies.

use std::{
    io, mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use memmap2::MmapMut;
use tokio::time::Instant;

/// A cache of buffers, each a memory mapping of its own.
///
/// The allocator would keep megabytes in the arena of each thread without end, and would still map most bodies anew, page by
/// page, which costs a third of a review.
///
/// A reused buffer is resident in whole, however small the body in it. So reused buffers have their own limit, whether spare or
/// in use. Above it, a buffer is unmapped after use.
pub(in crate::server) struct Buffers {
    /// Maximum bytes of reused buffers.
    most: usize,
    kept: Mutex<Kept>,
}

/// The reused buffers.
#[derive(Default)]
struct Kept {
    spares: Vec<Spare>,
    /// Bytes of spare buffers, and of buffers in use that were spare before.
    bytes: usize,
}

struct Spare {
    memory: MmapMut,
    since: Instant,
}

/// A buffer of a fixed size, filled up to `len`.
pub(in crate::server) struct Buffer {
    memory: Option<MmapMut>,
    len: usize,
    is_kept: bool,
    home: Arc<Buffers>,
}

/// How long a spare buffer is kept. Longer than the pause between two large writes of a busy controller.
pub(in crate::server) const KEPT: Duration = Duration::from_secs(4);

impl Buffers {
    /// A cache of at most this many bytes.
    pub(in crate::server) fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// An empty buffer of at least this size.
    ///
    /// If every spare buffer is too small, the largest is unmapped. So there are never more buffers than were in use at once.
    ///
    /// # Errors
    ///
    /// If the system has no memory.
    pub(in crate::server) fn take(self: &Arc<Self>, bytes: usize) -> io::Result<Buffer> {
        let spare = self.kept().take(bytes);
        let is_kept = spare.is_some();
        let memory = spare.map_or_else(|| MmapMut::map_anon(bytes), Ok)?;
        Ok(Buffer { memory: Some(memory), len: 0, is_kept, home: Arc::clone(self) })
    }

    /// Unmaps spare buffers that were not used for [`KEPT`].
    pub(in crate::server) fn tidy(&self) {
        let unneeded = self.kept().take_unneeded();
        drop(unneeded);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The smallest spare buffer that is large enough. It stays counted while in use.
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
    /// Appends `part`. False if it does not fit.
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
    fn buffers_are_reused_and_never_more_than_were_in_use_at_once() {
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
    fn the_limit_of_reused_buffers_includes_those_in_use() {
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
        assert_eq!(held(), (0, 300), "buffers of stalled bodies count");
        drop(buffers.take(100).unwrap());
        assert_eq!(held(), (0, 300), "a buffer above the limit is unmapped");
        drop(stalling);
        assert_eq!(held(), (3, 300));
        drop(buffers.take(400).unwrap());
        assert_eq!(held(), (2, 200), "so is one that can never fit");
    }
}
