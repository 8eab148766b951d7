//! Turns for reviews that are too expensive for the threads that serve connections.

use std::{net::IpAddr, num::NonZeroUsize, sync::Arc, thread::available_parallelism};

use tokio::time::{Instant, timeout_at};

use crate::server::{
    Limits,
    intake::fair::{Bounds, Fair, Part},
    metrics::Shed,
};

/// Limits the number and the memory of concurrent reviews on blocking threads.
///
/// Medium and large bodies have separate turns, so that the largest, whose reviews can take seconds, do not delay the others. One
/// address never gets the last turn of a kind, so one client cannot keep the API server from a turn. With more clients, the API
/// server's review is next in line ([`Fair`]).
pub(in crate::server) struct Turns {
    medium: Arc<Fair>,
    large: Arc<Fair>,
}

/// Maximum bytes of a medium body. Its review takes at most 150 ms.
const MEDIUM: usize = 256 << 10;

impl Turns {
    pub(in crate::server) fn new(limits: &Limits) -> Self {
        /// So that one client cannot have all turns.
        const LEAST: usize = 2;
        /// As many as the memory budget allows for. More at once would hardly be faster.
        const MOST: usize = 4;
        /// At least this many reviews may wait, however low the connection limit is.
        const FEW: usize = 8;
        // Leave one core to the threads that serve connections, if possible.
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let parts = (cores - 1).clamp(LEAST, MOST);
        // A connection whose review waits is never evicted, so only a part of all connections may wait.
        let waiting = (limits.queue / 2).min((limits.connections / 4).max(FEW));
        let turns = |size| Arc::new(Fair::new(Bounds { size, parts, parts_each: parts - 1, waiting }));
        Self { medium: turns(parts * memory(MEDIUM)), large: turns(review_memory(limits)) }
    }

    /// A turn, and the memory, for the review of a body of this size from this address. Waits until the deadline.
    pub(in crate::server) async fn take(&self, peer: IpAddr, bytes: usize, deadline: Instant) -> Result<Part, Shed> {
        let turns = if bytes <= MEDIUM { &self.medium } else { &self.large };
        timeout_at(deadline, turns.take(peer, memory(bytes))).await.unwrap_or(Err(Shed::Deadline))
    }
}

/// Maximum bytes of memory for all concurrent reviews of large bodies, besides the bodies. By default 192 MiB, enough for two
/// of the largest.
///
/// The bodies and this are four times `in_flight`. With 70 MB for the process and all connections that is 330 MB by default,
/// below the memory limit of the Deployment.
fn review_memory(limits: &Limits) -> usize {
    limits.in_flight.saturating_mul(3)
}

/// The maximum memory of a review, besides the body.
fn memory(bytes: usize) -> usize {
    /// For each byte of the body. The core guarantees it for any body, and the memory budget relies on it. Usual bodies take a
    /// tenth.
    const PER_BYTE: usize = 12;
    bytes.saturating_mul(PER_BYTE)
}
