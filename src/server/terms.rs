//! On what terms reviews are served: they may be replaced meanwhile.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use tokio::time::sleep;

use super::{Limits, body::Room, buffers::KEPT, ticks::Ticks, turns::Turns};
use crate::rules::Policy;

/// What an administrator chose for the rules, and the limits of the server.
pub struct Terms {
    now: ArcSwap<Now>,
    ticks: Arc<Ticks>,
}

/// The terms that hold for what begins now.
pub(super) struct Now {
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) room: Arc<Room>,
    pub(super) turns: Arc<Turns>,
}

impl Terms {
    /// Terms from the start.
    #[must_use]
    pub fn new(policy: Policy, limits: Limits) -> Self {
        let ticks = Arc::default();
        let room = Arc::new(Room::new(limits, Arc::clone(&ticks)));
        let turns = Arc::new(Turns::new(&limits));
        Self { now: ArcSwap::from_pointee(Now { policy, limits, room, turns }), ticks }
    }

    /// Terms from now on.
    ///
    /// Bodies that are on their way end within the limits under which they began, so that for as long as they take, thirty
    /// seconds at the most, there may be as many bytes as before and as from now on together. Connections past the limit are
    /// closed when the next one comes; those that are open keep their times.
    pub fn replace(&self, policy: Policy, limits: Limits) {
        let now = self.now.load();
        let (room, turns) = if limits == now.limits {
            (Arc::clone(&now.room), Arc::clone(&now.turns))
        } else {
            (Arc::new(Room::new(limits, Arc::clone(&self.ticks))), Arc::new(Turns::new(&limits)))
        };
        self.now.store(Arc::new(Now { policy, limits, room, turns }));
    }

    /// The limits that hold now.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.now.load().limits
    }

    /// What holds now; not to be kept while anything is waited for.
    pub(super) fn now(&self) -> Guard<Arc<Now>> {
        self.now.load()
    }

    /// The room for a body that begins now.
    pub(super) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.now.load().room)
    }

    /// The turns of a review that begins now.
    pub(super) fn turns(&self) -> Arc<Turns> {
        Arc::clone(&self.now.load().turns)
    }

    /// Sees to it that waits end and memory is given back, for as long as it is polled.
    pub(super) async fn run(&self) {
        let tidy = async {
            loop {
                sleep(KEPT / 2).await;
                self.now().room.tidy();
            }
        };
        tokio::join!(self.ticks.run(), tidy);
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self::new(Policy::default(), Limits::default())
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.now();
        f.debug_struct("Terms").field("policy", &now.policy).field("limits", &now.limits).finish_non_exhaustive()
    }
}
