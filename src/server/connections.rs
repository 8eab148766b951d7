//! The open connections, and which of them makes room.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    iter,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{sync::Notify, time::Instant};

use crate::metrics::Metrics;

/// The open connections of one listener.
///
/// Where there are too many, one that has never completed a request is closed for the new one, else the one longest without: an API
/// server completes requests, so whoever opens connections without any can neither keep it out nor drive it out. Of the former
/// it is the oldest of the address that has the most: an API server, too, opens some that it has no request for yet, and a
/// call fails that finds one closed. Where a request is being reviewed its connection goes last; where a body is still coming
/// in it has no such privilege, which a caller who sends slowly would use.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    started: Instant,
    metrics: Option<Arc<Metrics>>,
    open: Mutex<HashMap<u64, Arc<Entry>>>,
    next: AtomicU64,
}

/// What eviction knows of a connection.
struct Entry {
    peer: IpAddr,
    /// Whether the whole body of a request has come and its answer is being made.
    reviewing: AtomicBool,
    /// Microseconds from the server's start to the last completed request; 0 before the first, and once there is no other.
    completed: AtomicU64,
    evicted: Notify,
}

/// Tells that a request of a connection has come whole, and is not the caller's to delay any more.
#[derive(Clone)]
pub(super) struct Reviewing(Arc<Entry>);

/// A place among the open connections, given back when dropped.
pub(super) struct Place {
    connections: Connections,
    id: u64,
    entry: Arc<Entry>,
}

impl Connections {
    pub(super) fn new(metrics: Option<Arc<Metrics>>) -> Self {
        Self(Arc::new(Shared { started: Instant::now(), metrics, open: Mutex::default(), next: AtomicU64::new(0) }))
    }

    /// A place for a new connection from this address.
    pub(super) fn enter(&self, peer: IpAddr) -> Place {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry {
            peer,
            reviewing: AtomicBool::default(),
            completed: AtomicU64::default(),
            evicted: Notify::new(),
        });
        let mut open = self.open();
        open.insert(id, Arc::clone(&entry));
        self.tell(open.len());
        Place { connections: self.clone(), id, entry }
    }

    /// Closes the connection that another needs the least, and more, where else `most` or more would be left.
    pub(super) fn evict(&self, most: usize) {
        let mut open = self.open();
        let mut crowds: HashMap<IpAddr, usize> = HashMap::new();
        for entry in open.values().filter(|entry| entry.completed.load(Ordering::Relaxed) == 0) {
            *crowds.entry(entry.peer).or_default() += 1;
        }
        let rank = |(id, entry): (&u64, &Arc<Entry>)| {
            let crowd = crowds.get(&entry.peer).copied().unwrap_or_default();
            let completed = entry.completed.load(Ordering::Relaxed);
            Reverse((entry.reviewing.load(Ordering::Relaxed), completed, Reverse(crowd), *id))
        };
        let count = (open.len() + 1).saturating_sub(most).max(1);
        let mut ranks: BinaryHeap<_> = open.iter().map(rank).collect();
        for Reverse((.., id)) in iter::from_fn(|| ranks.pop()).take(count) {
            if let Some(entry) = open.remove(&id) {
                entry.evicted.notify_one();
                if let Some(metrics) = &self.0.metrics {
                    metrics.server.count_eviction();
                }
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    fn tell(&self, count: usize) {
        if let Some(metrics) = &self.0.metrics {
            metrics.server.set_connections(count);
        }
    }
}

impl Place {
    /// Notes that the connection has completed a request.
    pub(super) fn complete(&self) {
        self.entry.completed.store(self.connections.now(), Ordering::Relaxed);
        self.entry.reviewing.store(false, Ordering::Relaxed);
    }

    /// Notes that the connection ends with an answer: whatever its caller does about it, another comes first.
    pub(super) fn end(&self) {
        self.entry.completed.store(0, Ordering::Relaxed);
        self.entry.reviewing.store(false, Ordering::Relaxed);
    }

    /// By which the one who reviews tells that the body has come.
    pub(super) fn reviewing(&self) -> Reviewing {
        Reviewing(Arc::clone(&self.entry))
    }

    /// Waits until another connection needs the place.
    pub(super) async fn evicted(&self) {
        self.entry.evicted.notified().await;
    }
}

impl Reviewing {
    /// The body has come.
    pub(super) fn begin(&self) {
        self.0.reviewing.store(true, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.remove(&self.id);
        self.connections.tell(open.len());
    }
}
