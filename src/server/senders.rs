//! The bodies that are on their way, and which of them is given up when their room is needed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// The bodies of which a part has come and holds room.
#[derive(Default)]
pub(super) struct Senders {
    sending: Mutex<HashMap<u64, Sending>>,
    next: AtomicU64,
}

struct Sending {
    /// When the body began to come, later by what it has waited for room.
    since: Instant,
    /// Whether it waits for room now, which is not its caller's fault.
    waits: bool,
    shed: Arc<Notify>,
}

/// A body that is on its way, until dropped.
pub(super) struct Sender<'a> {
    senders: &'a Senders,
    id: u64,
    shed: Arc<Notify>,
}

/// A wait for room, until dropped.
pub(super) struct Wait<'a> {
    sender: &'a Sender<'a>,
    since: Instant,
}

impl Senders {
    /// A body of which the first part has come.
    pub(super) fn enter(&self) -> Sender<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let shed = Arc::new(Notify::new());
        self.sending().insert(id, Sending { since: Instant::now(), waits: false, shed: Arc::clone(&shed) });
        Sender { senders: self, id, shed }
    }

    /// Gives up the body that has been on its way the longest, if that is longer than `most`.
    pub(super) fn shed_slowest(&self, most: Duration) {
        let mut sending = self.sending();
        let late = sending.iter().filter(|(_, one)| !one.waits && one.since.elapsed() > most);
        let slowest = late.min_by_key(|(_, one)| one.since).map(|(id, _)| *id);
        if let Some(slowest) = slowest.and_then(|id| sending.remove(&id)) {
            slowest.shed.notify_one();
        }
    }

    fn sending(&self) -> MutexGuard<'_, HashMap<u64, Sending>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender<'_> {
    /// Waits until the body is given up.
    pub(super) async fn shed(&self) {
        self.shed.notified().await;
    }

    /// The body waits for room.
    pub(super) fn wait(&self) -> Wait<'_> {
        if let Some(one) = self.senders.sending().get_mut(&self.id) {
            one.waits = true;
        }
        Wait { sender: self, since: Instant::now() }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(one) = self.sender.senders.sending().get_mut(&self.sender.id) {
            one.waits = false;
            one.since += self.since.elapsed();
        }
    }
}

impl Drop for Sender<'_> {
    fn drop(&mut self) {
        self.senders.sending().remove(&self.id);
    }
}
