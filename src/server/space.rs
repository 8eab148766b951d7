//! Room for bodies, taken in the order in which it is asked for.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::ticks::Ticks;
use crate::metrics::{Load, Shed};

/// So many bytes of room, and who waits for some.
pub(super) struct Space {
    /// Bytes in all.
    size: usize,
    free: Arc<Semaphore>,
    /// How many may wait.
    most: usize,
    queue: Semaphore,
    wanted: Notify,
}

/// How often one who waits asks for the room of another that has become late.
const ASK: Duration = Duration::from_millis(50);

impl Space {
    pub(super) fn new(size: usize, queue: usize) -> Self {
        // Semaphores count to 4 GiB at a time, more than any hub sends.
        let (size, most) = (size.min(u32::MAX as usize), queue.min(Semaphore::MAX_PERMITS));
        let free = Arc::new(Semaphore::new(size));
        Self { size, free, most, queue: Semaphore::new(most), wanted: Notify::new() }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bytes of room that are taken, and requests that wait for some.
    pub(super) fn load(&self) -> (Load, Load) {
        let load = |most: usize, free: usize| Load { now: most.saturating_sub(free), most };
        (load(self.size, self.free.available_permits()), load(self.most, self.queue.available_permits()))
    }

    /// Room for so many bytes, once it is there.
    pub(super) async fn take(&self, bytes: usize, ticks: &Ticks) -> Result<OwnedSemaphorePermit, Shed> {
        const OPEN: &str = "the semaphore of a server is never closed";
        let bytes = u32::try_from(bytes).expect("there is no more of it");
        if let Ok(room) = Arc::clone(&self.free).try_acquire_many_owned(bytes) {
            return Ok(room);
        }
        let _place = self.queue.try_acquire().map_err(|_| Shed::QueueFull)?;
        let mut room = pin!(Arc::clone(&self.free).acquire_many_owned(bytes));
        loop {
            self.wanted.notify_one();
            if let Some(room) = ticks.timeout(ASK, &mut room).await {
                return Ok(room.expect(OPEN));
            }
        }
    }

    /// Waits until the body that has taken room is late, and another asks for it; who has been late for the longest is asked
    /// first.
    ///
    /// `waits` tells whether the body itself waits for room, and so is one of those who ask.
    pub(super) async fn late(&self, sending: Duration, waits: &AtomicBool, ticks: &Ticks) {
        ticks.until(Instant::now() + sending).await;
        loop {
            self.wanted.notified().await;
            let waiting = self.most - self.queue.available_permits();
            let itself = waits.load(Ordering::Relaxed);
            if waiting > usize::from(itself) {
                return;
            }
            // Who asked has been served meanwhile, or is this body itself: then another one that is late is asked.
            if itself {
                self.wanted.notify_one();
                ticks.until(Instant::now() + ASK).await;
            }
        }
    }
}
