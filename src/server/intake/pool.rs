//! A pool of memory for bodies. While requests wait for memory, slow bodies lose theirs.

use std::{
    net::IpAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::server::{
    intake::fair::{Bounds, Fair, Part},
    metrics::{Load, Shed},
    timer::CoarseTimer,
};

/// A number of bytes, of which bodies reserve parts, and the queue of requests that wait for a part.
pub(in crate::server) struct BytePool {
    free: Arc<Fair>,
    wanted: Notify,
}

/// How often a waiting request asks a slow body to give up its memory.
const ASK: Duration = Duration::from_millis(50);

impl BytePool {
    pub(in crate::server) fn new(size: usize, queue: usize) -> Self {
        let bounds = Bounds { size, parts: usize::MAX, parts_each: usize::MAX, waiting: queue };
        Self { free: Arc::new(Fair::new(bounds)), wanted: Notify::new() }
    }

    pub(in crate::server) fn size(&self) -> usize {
        self.free.size()
    }

    /// Reserved bytes, and requests that wait for memory.
    pub(in crate::server) fn load(&self) -> (Load, Load) {
        self.free.load()
    }

    /// Reserves bytes for a body from this address. Waits until they are free.
    pub(in crate::server) async fn take(&self, peer: IpAddr, bytes: usize, timer: &CoarseTimer) -> Result<Part, Shed> {
        let mut reserved = pin!(self.free.take(peer, bytes));
        let mut is_first = true;
        loop {
            // If the memory is not free at once, ask slow bodies for theirs.
            let wait = if is_first { Duration::ZERO } else { ASK };
            if let Some(reserved) = timer.timeout(wait, &mut reserved).await {
                return reserved;
            }
            is_first = false;
            self.wanted.notify_one();
        }
    }

    /// Returns when a body must give up its memory: its grace has passed, and another request asks for memory. The body that
    /// exceeded its grace first is asked first.
    ///
    /// `waits` says whether this body itself waits for more memory, and so is one of the requests that ask.
    pub(in crate::server) async fn late(&self, slow_body_grace: Duration, waits: &AtomicBool, timer: &CoarseTimer) {
        timer.until(Instant::now() + slow_body_grace).await;
        loop {
            self.wanted.notified().await;
            let waiting = self.free.load().1.now;
            let itself = waits.load(Ordering::Relaxed);
            if waiting > usize::from(itself) {
                return;
            }
            // The request that asked was served meanwhile, or is this body's own: pass the question on to another slow body.
            if itself {
                self.wanted.notify_one();
                timer.until(Instant::now() + ASK).await;
            }
        }
    }
}
