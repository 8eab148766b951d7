//! The open connections, and which of them to evict.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::server::{Metrics, http::unsent::Unsent, listener::crowds::Crowds};

/// The open connections of one listener.
///
/// An API server completes reviews; a client that only occupies connections does not. So at the limit, a new connection evicts
/// one that has completed no review, and only if there is none, one that has. Of these, it evicts the longest idle one of the
/// address with the most. So a client with many connections evicts its own, and a new connection of the API server has time to
/// send its review before it is the oldest of its address.
///
/// Connections with a completed review may use three quarters of the limit. Otherwise a client that completes one review on each
/// of its connections could leave new ones no time to send theirs.
///
/// A connection is never evicted between the end of a request's body and the end of its response, unless the client does not
/// read the response for a second. It is not protected while a body arrives, because a client could send slowly to stay.
#[derive(Clone)]
pub(in crate::server) struct Connections(Arc<Shared>);

struct Shared {
    metrics: Option<Arc<Metrics>>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// A logical clock.
    events: u64,
    /// The connection limit, as of the last new connection.
    most: usize,
    all: HashMap<u64, Standing>,
    /// Number of connections with a completed review.
    proven: usize,
    // Connections that may be evicted, without and with a completed review.
    unproven_idle: Crowds,
    proven_idle: Crowds,
    /// Connections whose client does not read a response, and since when.
    unread: BTreeSet<(Instant, u64)>,
}

/// What eviction knows about a connection.
struct Standing {
    peer: IpAddr,
    is_proven: bool,
    /// Idle since its last completed review, or else since it was accepted. Other requests do not count.
    since: u64,
    state: State,
    evicted: Arc<Notify>,
    /// The memory of its response until it is written.
    unsent: Option<Arc<Unsent>>,
}

/// Whether a connection may be evicted.
#[derive(Clone, Copy)]
enum State {
    /// Yes: it waits for the client.
    Idle,
    /// No: a request has arrived, and its response is not written yet.
    Busy,
    /// Yes, after [`READ_GRACE`]: the client has not read the response since then.
    Unread(Instant),
}

/// A handle by which the stream and the service of a connection report its state.
#[derive(Clone)]
pub(in crate::server) struct Seat {
    connections: Connections,
    peer: IpAddr,
    id: u64,
}

/// An open connection. Leaves the set of open connections when dropped.
pub(in crate::server) struct ConnectionGuard {
    seat: Seat,
    evicted: Arc<Notify>,
}

/// The effect of a response on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Outcome {
    /// It completes a review.
    Reviewed,
    /// It answers another request.
    Other,
    /// The connection closes after it.
    Ends,
}

/// How long a response that the client does not read protects its connection. Long enough to resend lost packets.
const READ_GRACE: Duration = Duration::from_secs(1);

impl Connections {
    pub(in crate::server) fn new(metrics: Option<Arc<Metrics>>) -> Self {
        Self(Arc::new(Shared { metrics, open: Mutex::default() }))
    }

    /// Adds a new connection from this address. `most` is the connection limit.
    pub(in crate::server) fn enter(&self, peer: IpAddr, most: usize) -> ConnectionGuard {
        let evicted = Arc::new(Notify::new());
        let mut open = self.open();
        open.most = most;
        let id = open.next();
        let standing = Standing {
            peer,
            is_proven: false,
            since: id,
            state: State::Idle,
            evicted: Arc::clone(&evicted),
            unsent: None,
        };
        open.all.insert(id, standing);
        open.unproven_idle.add(peer, id, id);
        self.show_count(open.all.len());
        ConnectionGuard { seat: Seat { connections: self.clone(), peer, id }, evicted }
    }

    /// Evicts connections until there are fewer than `most`, or none may be evicted.
    pub(in crate::server) fn evict_to(&self, most: usize) {
        let mut open = self.open();
        while open.all.len() >= most && self.evict(&mut open) {}
    }

    /// Evicts one connection, if one may be evicted.
    pub(in crate::server) fn evict_one(&self) {
        self.evict(&mut self.open());
    }

    /// Evicts the first connection in the order of eviction. False if none may be evicted.
    fn evict(&self, open: &mut Open) -> bool {
        open.expire_unread(Instant::now());
        let first = open.unproven_idle.first().or_else(|| open.proven_idle.first());
        self.close(first, open)
    }

    /// Evicts connections with a completed review until the others have their quarter.
    fn limit_proven(&self, open: &mut Open) {
        while open.proven > open.most - open.most / 4 && self.close(open.proven_idle.first(), open) {}
    }

    fn close(&self, id: Option<u64>, open: &mut Open) -> bool {
        let Some(standing) = id.and_then(|id| open.remove(id)) else { return false };
        standing.evicted.notify_one();
        if let Some(metrics) = &self.0.metrics {
            metrics.traffic.count_eviction();
        }
        true
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_count(&self, count: usize) {
        if let Some(metrics) = &self.0.metrics {
            metrics.traffic.set_connections(count);
        }
    }
}

impl Open {
    fn next(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    /// Changes the state of a connection, and keeps the collections of evictable ones in step.
    fn set(&mut self, id: u64, state: State) {
        self.leave(id);
        let Some(standing) = self.all.get_mut(&id) else { return };
        standing.state = state;
        match state {
            State::Idle if standing.is_proven => self.proven_idle.add(standing.peer, standing.since, id),
            State::Idle => self.unproven_idle.add(standing.peer, standing.since, id),
            State::Busy => {}
            State::Unread(since) => drop(self.unread.insert((since, id))),
        }
    }

    fn leave(&mut self, id: u64) {
        let Some(standing) = self.all.get(&id) else { return };
        match standing.state {
            State::Idle if standing.is_proven => self.proven_idle.remove(standing.peer, standing.since),
            State::Idle => self.unproven_idle.remove(standing.peer, standing.since),
            State::Busy => {}
            State::Unread(since) => drop(self.unread.remove(&(since, id))),
        }
    }

    fn remove(&mut self, id: u64) -> Option<Standing> {
        self.leave(id);
        let standing = self.all.remove(&id)?;
        self.proven -= usize::from(standing.is_proven);
        Some(standing)
    }

    /// Makes connections evictable whose client has not read a response for [`READ_GRACE`].
    fn expire_unread(&mut self, now: Instant) {
        while let Some((since, id)) = self.unread.first().copied()
            && now.saturating_duration_since(since) >= READ_GRACE
        {
            self.set(id, State::Idle);
        }
    }

    /// Records that the response is written.
    fn written(&mut self, id: u64, outcome: Outcome) {
        self.leave(id);
        let now = self.next();
        let Some(standing) = self.all.get_mut(&id) else { return };
        // It was removed from its old collection above, and `set` below adds it to the new one.
        standing.state = State::Busy;
        standing.unsent = None;
        let was_proven = standing.is_proven;
        match outcome {
            Outcome::Reviewed => (standing.is_proven, standing.since) = (true, now),
            Outcome::Ends => (standing.is_proven, standing.since) = (false, id),
            Outcome::Other => {}
        }
        self.proven = self.proven + usize::from(standing.is_proven) - usize::from(was_proven);
        self.set(id, State::Idle);
    }
}

impl Seat {
    /// The address of the client.
    pub(in crate::server) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Records that the body of a request is complete, so the client can no longer delay it.
    pub(in crate::server) fn begin(&self) {
        self.connections.open().set(self.id, State::Busy);
    }

    /// Records that the response is ready, with its memory until it is written.
    pub(in crate::server) fn answer(&self, unsent: Arc<Unsent>) {
        if let Some(standing) = self.connections.open().all.get_mut(&self.id) {
            standing.unsent = Some(unsent);
        }
    }

    /// Records that the client does not read the response.
    pub(in crate::server) fn stall(&self) {
        let mut open = self.connections.open();
        if open.all.get(&self.id).is_some_and(|standing| matches!(standing.state, State::Busy)) {
            open.set(self.id, State::Unread(Instant::now()));
        }
    }

    /// Records that the response is written.
    pub(in crate::server) fn written(&self, outcome: Outcome) {
        let mut open = self.connections.open();
        open.written(self.id, outcome);
        if outcome == Outcome::Reviewed {
            self.connections.limit_proven(&mut open);
        }
    }
}

impl ConnectionGuard {
    /// The handle for the stream and the service.
    pub(in crate::server) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Waits until this connection is evicted.
    pub(in crate::server) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut open = self.seat.connections.open();
        let standing = open.remove(self.seat.id);
        self.seat.connections.show_count(open.all.len());
        drop(open);
        drop(standing);
    }
}

#[cfg(test)]
mod tests;
