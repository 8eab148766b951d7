//! Room for answers that are made and not yet written.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes of large answers that wait for their callers to take them.
///
/// An API server takes an answer at once. The server gives up a client that does not after ten seconds; until then the answer is
/// in memory, and there may be as many of them as connections.
pub(in crate::server) struct Outbox {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// Room that an answer takes until this is dropped.
pub(in crate::server) struct Unsent {
    outbox: Arc<Outbox>,
    peer: IpAddr,
    bytes: usize,
}

/// Answers up to this size need no room: nearly all are smaller, the send buffer of a socket takes them whole, and that of all
/// connections takes 8 MiB at the most.
const SMALL: usize = 4 << 10;

impl Outbox {
    /// Room for so many bytes.
    pub(in crate::server) fn new(most: usize) -> Self {
        Self { most, held: Mutex::default() }
    }

    /// Room for an answer of so many bytes to this address, or nothing where there is none; for small ones there always is.
    ///
    /// One address has at most half of it. And an address to which nothing is on its way has room for one answer, whatever
    /// others leave untaken.
    pub(in crate::server) fn take(self: &Arc<Self>, peer: IpAddr, bytes: usize) -> Option<Arc<Unsent>> {
        let bytes = if bytes <= SMALL { 0 } else { bytes };
        if bytes > 0 {
            let mut held = self.held();
            let own = held.by_peer.get(&peer).copied().unwrap_or_default();
            if own > 0 && (own + bytes > self.most / 2 || held.bytes + bytes > self.most) {
                return None;
            }
            held.bytes += bytes;
            held.by_peer.insert(peer, own + bytes);
        }
        Some(Arc::new(Unsent { outbox: Arc::clone(self), peer, bytes }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.outbox.held();
        held.bytes -= self.bytes;
        let own = held.by_peer.remove(&self.peer).unwrap_or_default() - self.bytes;
        if own > 0 {
            held.by_peer.insert(self.peer, own);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use super::{Outbox, SMALL};

    #[test]
    fn unsent_answers_are_bounded_and_each_address_has_room_for_one() {
        let [a, b, c]: [IpAddr; 3] = [1, 2, 3].map(|host| [10, 0, 0, host].into());
        let size = 2 * SMALL;
        let outbox = Arc::new(Outbox::new(4 * size));
        let held = [outbox.take(a, size), outbox.take(a, size), outbox.take(b, size), outbox.take(b, size)];
        assert!(held.iter().all(Option::is_some));
        assert!(outbox.take(a, size).is_none(), "the half of one address");
        let first = outbox.take(c, size);
        assert!(first.is_some(), "nothing is on its way to it");
        assert!(outbox.take(c, size).is_none(), "one at a time, where others leave no room");
        assert!(outbox.take(c, SMALL).is_some(), "small ones always have room");
        drop(held);
        assert!(outbox.take(c, size).is_some());
        drop(first);
        assert!(outbox.held().by_peer.is_empty() && outbox.held().bytes == 0);
    }
}
