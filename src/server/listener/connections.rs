//! The open connections, and which of them makes room.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    metrics::Metrics,
    server::{http::unsent::Unsent, listener::crowds::Crowds},
};

/// The open connections of one listener.
///
/// An API server gets reviews answered; a client that only takes places does not. So where there are too many connections, one
/// that has had no review answered is closed for the new one, and only where there is none of these, one that has. It is of the
/// address that has the most of its kind, and there the longest idle: so a crowd makes room for itself, and a new connection
/// of the API server has had the time to send its review before it is the oldest of its address.
///
/// Connections with an answered review leave a quarter of the places to the others. Else a client that gets one review answered
/// on each of its connections would leave new ones no time to send theirs.
///
/// A connection is never closed between the end of a request's body and the end of its answer, unless the client does not take
/// the answer for a moment. While a body comes in there is no such protection, which a client that sends slowly would use.
#[derive(Clone)]
pub(in crate::server) struct Connections(Arc<Shared>);

struct Shared {
    metrics: Option<Arc<Metrics>>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Counts what happens: a lower number was earlier.
    events: u64,
    /// As many as there may be, as last heard.
    most: usize,
    all: HashMap<u64, Standing>,
    /// Of `all`, how many have had a review answered.
    proven: usize,
    /// Those that may be closed, whether or not they have had a review answered.
    unproven_idle: Crowds,
    proven_idle: Crowds,
    /// Those whose caller does not take an answer, and since when.
    untaken: BTreeSet<(Instant, u64)>,
}

/// What eviction knows of a connection.
struct Standing {
    peer: IpAddr,
    is_proven: bool,
    /// Since when it is idle: since the last answered review, else since it was accepted, for no other request counts.
    since: u64,
    state: State,
    evicted: Arc<Notify>,
    /// Room that its answer takes until it is written.
    unsent: Option<Arc<Unsent>>,
}

/// Whether a connection may be closed.
#[derive(Clone, Copy)]
enum State {
    /// It may: it waits for its caller.
    Idle,
    /// It may not: a request has come, and its answer is not yet written.
    Busy,
    /// It may once a moment has passed since then: the caller does not take the answer.
    Untaken(Instant),
}

/// A connection among the open ones, by which its stream and its service tell how far it is.
#[derive(Clone)]
pub(in crate::server) struct Seat {
    connections: Connections,
    peer: IpAddr,
    id: u64,
}

/// A place among the open connections, given back when dropped.
pub(in crate::server) struct ConnectionGuard {
    seat: Seat,
    evicted: Arc<Notify>,
}

/// What an answer means for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Outcome {
    /// A review was answered: the caller is one who asks for them.
    Reviewed,
    /// Something else was.
    Other,
    /// The connection ends with the answer: there is no further use of it.
    Ends,
}

/// How long an answer that its caller does not take still protects its connection: packets that are lost are sent again within
/// that time.
const TAKING: Duration = Duration::from_secs(1);

impl Connections {
    pub(in crate::server) fn new(metrics: Option<Arc<Metrics>>) -> Self {
        Self(Arc::new(Shared { metrics, open: Mutex::default() }))
    }

    /// A place for a new connection from this address, where there may be so many.
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
        self.tell(open.all.len());
        ConnectionGuard { seat: Seat { connections: self.clone(), peer, id }, evicted }
    }

    /// Closes connections until another has a place among `most`, as far as there are any that may be closed.
    pub(in crate::server) fn make_room(&self, most: usize) {
        let mut open = self.open();
        while open.all.len() >= most && self.evict(&mut open) {}
    }

    /// Closes one connection.
    pub(in crate::server) fn close_one(&self) {
        self.evict(&mut self.open());
    }

    /// Closes the connection that goes first, if there is one that may be closed.
    fn evict(&self, open: &mut Open) -> bool {
        open.give_up_untaken(Instant::now());
        let first = open.unproven_idle.first().or_else(|| open.proven_idle.first());
        self.close(first, open)
    }

    /// Closes those that have had a review answered until they leave the others their quarter.
    fn limit_proven(&self, open: &mut Open) {
        while open.proven > open.most - open.most / 4 && self.close(open.proven_idle.first(), open) {}
    }

    fn close(&self, id: Option<u64>, open: &mut Open) -> bool {
        let Some(standing) = id.and_then(|id| open.remove(id)) else { return false };
        standing.evicted.notify_one();
        if let Some(metrics) = &self.0.metrics {
            metrics.server.count_eviction();
        }
        true
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, count: usize) {
        if let Some(metrics) = &self.0.metrics {
            metrics.server.set_connections(count);
        }
    }
}

impl Open {
    fn next(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    /// Where a connection may be closed is noted beside what it is.
    fn set(&mut self, id: u64, state: State) {
        self.leave(id);
        let Some(standing) = self.all.get_mut(&id) else { return };
        standing.state = state;
        match state {
            State::Idle if standing.is_proven => self.proven_idle.add(standing.peer, standing.since, id),
            State::Idle => self.unproven_idle.add(standing.peer, standing.since, id),
            State::Busy => {}
            State::Untaken(since) => drop(self.untaken.insert((since, id))),
        }
    }

    fn leave(&mut self, id: u64) {
        let Some(standing) = self.all.get(&id) else { return };
        match standing.state {
            State::Idle if standing.is_proven => self.proven_idle.remove(standing.peer, standing.since),
            State::Idle => self.unproven_idle.remove(standing.peer, standing.since),
            State::Busy => {}
            State::Untaken(since) => drop(self.untaken.remove(&(since, id))),
        }
    }

    fn remove(&mut self, id: u64) -> Option<Standing> {
        self.leave(id);
        let standing = self.all.remove(&id)?;
        self.proven -= usize::from(standing.is_proven);
        Some(standing)
    }

    /// Answers that have not been taken for long enough protect their connections no longer.
    fn give_up_untaken(&mut self, now: Instant) {
        while let Some((since, id)) = self.untaken.first().copied()
            && now.saturating_duration_since(since) >= TAKING
        {
            self.set(id, State::Idle);
        }
    }

    /// The answer is written.
    fn written(&mut self, id: u64, outcome: Outcome) {
        self.leave(id);
        let now = self.next();
        let Some(standing) = self.all.get_mut(&id) else { return };
        // What is left below joins the crowd that it is of from now on.
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
    /// Where the connection comes from.
    pub(in crate::server) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// The body of a request has come, and is not the caller's to delay any more.
    pub(in crate::server) fn begin(&self) {
        self.connections.open().set(self.id, State::Busy);
    }

    /// The answer is made, and takes this room until it is written.
    pub(in crate::server) fn answer(&self, unsent: Arc<Unsent>) {
        if let Some(standing) = self.connections.open().all.get_mut(&self.id) {
            standing.unsent = Some(unsent);
        }
    }

    /// The caller does not take the answer.
    pub(in crate::server) fn stall(&self) {
        let mut open = self.connections.open();
        if open.all.get(&self.id).is_some_and(|standing| matches!(standing.state, State::Busy)) {
            open.set(self.id, State::Untaken(Instant::now()));
        }
    }

    /// The answer is written.
    pub(in crate::server) fn written(&self, outcome: Outcome) {
        let mut open = self.connections.open();
        open.written(self.id, outcome);
        if outcome == Outcome::Reviewed {
            self.connections.limit_proven(&mut open);
        }
    }
}

impl ConnectionGuard {
    /// By which stream and service tell how far the connection is.
    pub(in crate::server) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Waits until another connection needs the place.
    pub(in crate::server) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut open = self.seat.connections.open();
        let standing = open.remove(self.seat.id);
        self.seat.connections.tell(open.all.len());
        drop(open);
        drop(standing);
    }
}

#[cfg(test)]
mod tests;
