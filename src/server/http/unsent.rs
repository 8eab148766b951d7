//! Memory limit for responses that clients have not read yet.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Limits the bytes of large responses that wait for clients to read them.
///
/// An API server reads a response at once. A client that does not is cut off after [`Limits::write_timeout`]; until then its
/// response stays in memory, and each connection could hold one.
///
/// [`Limits::write_timeout`]: crate::server::Limits::write_timeout
pub(in crate::server) struct Outbox {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// The memory of one response, released when dropped.
pub(in crate::server) struct Unsent {
    outbox: Arc<Outbox>,
    peer: IpAddr,
    bytes: usize,
}

/// Responses up to this size are not counted. Nearly all are smaller, and a socket's send buffer takes them whole: at most
/// 8 MiB for all connections.
const SMALL: usize = 4 << 10;

impl Outbox {
    /// An outbox for at most this many bytes.
    pub(in crate::server) fn new(most: usize) -> Self {
        Self { most, held: Mutex::default() }
    }

    /// Reserves memory for a response to this address, or none if the limit is reached.
    ///
    /// An address may use at most half of the limit. An address with no unsent response always gets its first one, however much
    /// other clients leave unread. Small responses are always accepted.
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
    fn unsent_answers_are_limited_and_each_address_may_have_one() {
        let [a, b, c]: [IpAddr; 3] = [1, 2, 3].map(|host| [10, 0, 0, host].into());
        let size = 2 * SMALL;
        let outbox = Arc::new(Outbox::new(4 * size));
        let held = [outbox.take(a, size), outbox.take(a, size), outbox.take(b, size), outbox.take(b, size)];
        assert!(held.iter().all(Option::is_some));
        assert!(outbox.take(a, size).is_none(), "an address may use half of the limit");
        let first = outbox.take(c, size);
        assert!(first.is_some(), "it has no other unsent answer");
        assert!(outbox.take(c, size).is_none(), "only one, while the limit is reached");
        assert!(outbox.take(c, SMALL).is_some(), "small answers are always accepted");
        drop(held);
        assert!(outbox.take(c, size).is_some());
        drop(first);
        assert!(outbox.held().by_peer.is_empty() && outbox.held().bytes == 0);
    }
}
