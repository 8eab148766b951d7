//! Whose review is next, of those that cost more than a small one.

use std::{net::IpAddr, num::NonZeroUsize, sync::Arc, thread::available_parallelism};

use tokio::time::{Instant, timeout_at};

use crate::{
    metrics::Shed,
    server::{
        Limits,
        intake::fair::{Bounds, Fair, Part},
        limits::REVIEW_MEMORY_PER_BYTE,
    },
};

/// Turns for reviews that do not run on the threads that serve connections, and the memory that they take.
///
/// Medium and large bodies have turns of their own, so that the largest, whose reviews take seconds at the worst, do not hold up the
/// others. One address never has the last turn of a kind: whatever one client sends, the API server finds a turn free. Where
/// more clients send, its review is the next ([`Fair`]).
pub(in crate::server) struct Turns {
    medium: Arc<Fair>,
    large: Arc<Fair>,
}

/// Bytes of the largest body whose review is not large: 150 ms at the worst.
const MEDIUM: usize = 256 << 10;

impl Turns {
    pub(in crate::server) fn new(limits: &Limits) -> Self {
        /// So that one caller cannot have all.
        const LEAST: usize = 2;
        /// As many as memory is meant for; more at a time would hardly be faster.
        const MOST: usize = 4;
        /// However few connections there may be, some reviews may wait.
        const FEW: usize = 8;
        // One core is left for the threads that serve connections, if there are so many.
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let parts = (cores - 1).clamp(LEAST, MOST);
        // A connection whose review waits is not closed, so those that wait must not be all there are.
        let waiting = (limits.queue / 2).min((limits.connections / 4).max(FEW));
        let turns = |size| Arc::new(Fair::new(Bounds { size, parts, parts_each: parts - 1, waiting }));
        Self { medium: turns(parts * memory(MEDIUM)), large: turns(limits.review_memory()) }
    }

    /// A turn for the review of so many bytes from this address, by the deadline; and the memory that it takes.
    pub(in crate::server) async fn take(&self, peer: IpAddr, bytes: usize, deadline: Instant) -> Result<Part, Shed> {
        let turns = if bytes <= MEDIUM { &self.medium } else { &self.large };
        timeout_at(deadline, turns.take(peer, memory(bytes))).await.unwrap_or(Err(Shed::Deadline))
    }
}

/// What the review of so many bytes takes at the most, besides them.
fn memory(bytes: usize) -> usize {
    bytes.saturating_mul(REVIEW_MEMORY_PER_BYTE)
}
