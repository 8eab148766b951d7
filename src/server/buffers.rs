//! Memory for bodies that are too large for the allocator's good.

use std::{
    io, mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use memmap2::MmapMut;
use tokio::time::{Instant, sleep};

/// Buffers that are used again and again.
///
/// Each is a mapping of its own. The allocator would keep megabytes in each thread's arena, for ever; and it would fetch them
/// from the system anew, page by page, for nearly every body, which costs a third of a review.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Spare>>);

struct Spare {
    memory: MmapMut,
    since: Instant,
}

/// A buffer of a fixed size, and what it has been filled with.
pub(super) struct Buffer {
    memory: Option<MmapMut>,
    len: usize,
    home: Arc<Buffers>,
}

/// For how long a buffer is kept that nobody needs: longer than between two rounds of a controller that is busy.
const KEPT: Duration = Duration::from_secs(10);

impl Buffers {
    /// An empty buffer for so many bytes.
    ///
    /// Where every spare one is too small, the largest gives way: so there are never more than were used at a time.
    ///
    /// # Errors
    ///
    /// The system's, where it has no memory.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> io::Result<Buffer> {
        let mut spares = self.spares();
        let fits = |spare: &Spare| spare.memory.len() >= bytes;
        let fitting = (0..spares.len()).filter(|index| spares.get(*index).is_some_and(fits));
        let size = |index: &usize| spares.get(*index).map(|spare| spare.memory.len());
        let best = fitting.min_by_key(size);
        let too_small = (0..spares.len()).max_by_key(size);
        let spare = best.or(too_small).map(|index| spares.swap_remove(index)).filter(fits);
        drop(spares);
        let memory = spare.map_or_else(|| MmapMut::map_anon(bytes), |spare| Ok(spare.memory))?;
        Ok(Buffer { memory: Some(memory), len: 0, home: Arc::clone(self) })
    }

    /// Gives back to the system what nobody needs, for as long as it is polled.
    pub(super) async fn tidy(&self) {
        loop {
            sleep(KEPT).await;
            let mut spares = self.spares();
            let (kept, unneeded) = mem::take(&mut *spares).into_iter().partition(|spare| spare.since.elapsed() < KEPT);
            *spares = kept;
            drop(spares);
            drop::<Vec<_>>(unneeded);
        }
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// Adds `part`, if it fits.
    #[must_use]
    pub(super) fn add(&mut self, part: &[u8]) -> bool {
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
        if let Some(memory) = self.memory.take() {
            self.home.spares().push(Spare { memory, since: Instant::now() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Buffers;

    #[test]
    fn buffers_are_used_again_and_never_more_than_at_a_time() {
        let buffers = Arc::new(Buffers::default());
        let sizes = || {
            let mut sizes: Vec<_> = buffers.spares().iter().map(|spare| spare.memory.len()).collect();
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
}
