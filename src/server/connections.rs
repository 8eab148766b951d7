//! The open connections, and which of them makes room.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{sync::Notify, time::Instant};

use crate::metrics::Metrics;

/// The open connections of one listener, at most so many.
///
/// When they are full, the one longest without a completed request is closed for the new one: an API server completes
/// requests, so whoever holds connections without any cannot keep it out.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    most: usize,
    started: Instant,
    metrics: Option<Arc<Metrics>>,
    open: Mutex<HashMap<u64, Arc<Entry>>>,
    next: AtomicU64,
}

/// What eviction knows of a connection.
pub(super) struct Entry {
    /// Microseconds from the server's start to the last completed request, or to the connection.
    completed: AtomicU64,
    evicted: Notify,
}

/// A place among the open connections, given back when dropped.
pub(super) struct Place {
    connections: Connections,
    id: u64,
    entry: Arc<Entry>,
}

impl Connections {
    pub(super) fn new(most: usize, metrics: Option<Arc<Metrics>>) -> Self {
        Self(Arc::new(Shared {
            most,
            started: Instant::now(),
            metrics,
            open: Mutex::default(),
            next: AtomicU64::new(0),
        }))
    }

    /// A place for a new connection, made by closing another where there is none.
    pub(super) fn enter(&self) -> Place {
        let Shared { most, metrics, next, .. } = &*self.0;
        let id = next.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry { completed: AtomicU64::new(self.now()), evicted: Notify::new() });
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= *most
            && let Some(idlest) =
                open.iter().min_by_key(|(id, entry)| (entry.completed.load(Ordering::Relaxed), **id)).map(|(id, _)| *id)
            && let Some(entry) = open.remove(&idlest)
        {
            entry.evicted.notify_one();
            if let Some(metrics) = metrics {
                metrics.count_eviction();
            }
        }
        open.insert(id, Arc::clone(&entry));
        self.tell(open.len());
        Place { connections: self.clone(), id, entry }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn tell(&self, count: usize) {
        if let Some(metrics) = &self.0.metrics {
            metrics.set_connections(count);
        }
    }
}

impl Place {
    /// Notes that the connection has completed a request.
    pub(super) fn complete(&self) {
        self.entry.completed.store(self.connections.now(), Ordering::Relaxed);
    }

    /// Waits until another connection needs the place.
    pub(super) async fn evicted(&self) {
        self.entry.evicted.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.id);
        self.connections.tell(open.len());
    }
}
