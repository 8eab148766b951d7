//! Room for bodies, and giving up those that are late where others wait for it.

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

use crate::{
    metrics::{Load, Shed},
    server::{
        intake::fair::{Bounds, Fair, Part},
        timer::CoarseTimer,
    },
};

/// So many bytes of room, and who waits for some.
pub(in crate::server) struct BytePool {
    free: Arc<Fair>,
    wanted: Notify,
}

/// How often one who waits asks for the room of another that has become late.
const ASK: Duration = Duration::from_millis(50);

impl BytePool {
    pub(in crate::server) fn new(size: usize, queue: usize) -> Self {
        let bounds = Bounds { size, parts: usize::MAX, parts_each: usize::MAX, waiting: queue };
        Self { free: Arc::new(Fair::new(bounds)), wanted: Notify::new() }
    }

    pub(in crate::server) fn size(&self) -> usize {
        self.free.size()
    }

    /// Bytes of room that are taken, and requests that wait for some.
    pub(in crate::server) fn load(&self) -> (Load, Load) {
        self.free.load()
    }

    /// Room for so many bytes from this address, once it is there.
    pub(in crate::server) async fn take(&self, peer: IpAddr, bytes: usize, timer: &CoarseTimer) -> Result<Part, Shed> {
        let mut room = pin!(self.free.take(peer, bytes));
        let mut is_first = true;
        loop {
            // Whatever there is is had at once; who does not get it so asks for more.
            let wait = if is_first { Duration::ZERO } else { ASK };
            if let Some(room) = timer.timeout(wait, &mut room).await {
                return room;
            }
            is_first = false;
            self.wanted.notify_one();
        }
    }

    /// Waits until the body that has taken room is late, and another asks for it; who has been late for the longest is asked
    /// first.
    ///
    /// `waits` tells whether the body itself waits for room, and so is one of those who ask.
    pub(in crate::server) async fn late(&self, slow_body_grace: Duration, waits: &AtomicBool, timer: &CoarseTimer) {
        timer.until(Instant::now() + slow_body_grace).await;
        loop {
            self.wanted.notified().await;
            let waiting = self.free.load().1.now;
            let itself = waits.load(Ordering::Relaxed);
            if waiting > usize::from(itself) {
                return;
            }
            // Who asked has been served meanwhile, or is this body itself: then another one that is late is asked.
            if itself {
                self.wanted.notify_one();
                timer.until(Instant::now() + ASK).await;
            }
        }
    }
}
