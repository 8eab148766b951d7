//! Receiving a body within the limits of one and of all.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::Limits;

/// The room for bodies that are being received or reviewed: `in_flight` bytes in all.
///
/// Half of it is shared out to the connections. What fits into its connection's share, as nearly every review does, counts as
/// it comes in and waits for nobody. A body that outgrows its share takes room in the other half for all that it announces, in
/// the order in which they ask: so none waits for another with a part of itself in hand. Where nothing comes for a moment, what
/// has not come counts no longer, until more comes: who announces much and sends little takes little. And who takes too long
/// is given up when others wait, so that those who do wait with a part in hand do not wait for one another.
pub(super) struct Room {
    limits: Limits,
    /// Bytes of each body that need no room.
    share: usize,
    /// Bytes of room in all.
    size: usize,
    free: Arc<Semaphore>,
    queue: Semaphore,
    wanted: Notify,
}

/// A body in memory, and the room that it takes for as long as it is there.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Why a request was not reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreviewed {
    /// Its body is larger than one may be.
    TooLarge,
    /// Too many requests wait for room.
    QueueFull,
    /// Its deadline passed.
    Deadline,
    /// Its body came slowly, and others needed the room.
    Slow,
    /// The caller ended the body early.
    Broken,
}

impl Room {
    pub(super) fn new(limits: Limits) -> Self {
        let limits = Limits { queue: limits.queue.min(Semaphore::MAX_PERMITS), ..limits };
        let share = limits.in_flight / 2 / limits.connections.max(1);
        // Semaphores count to 4 GiB at a time, more than any hub sends.
        let size = (limits.in_flight - share * limits.connections).min(u32::MAX as usize);
        Self {
            limits,
            share,
            size,
            free: Arc::new(Semaphore::new(size)),
            queue: Semaphore::new(limits.queue),
            wanted: Notify::new(),
        }
    }

    /// The whole body, by the deadline.
    pub(super) async fn receive(&self, body: Body, deadline: Instant) -> Result<Received, Unreviewed> {
        timeout_at(deadline, self.collect(body)).await.unwrap_or(Err(Unreviewed::Deadline))
    }

    async fn collect(&self, mut body: Body) -> Result<Received, Unreviewed> {
        /// For which room is kept while nothing comes: an API server sends a body at once.
        const MOMENT: Duration = Duration::from_millis(20);
        let announced = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced.is_some_and(|bytes| bytes > self.limits.body) {
            return Err(Unreviewed::TooLarge);
        }
        let mut parts = Parts::default();
        while parts.len() <= self.share {
            if !parts.add_next(&mut body, self.limits.body).await? {
                return Ok(Received { bytes: parts.into_bytes(), _room: None });
            }
        }
        // Whoever does not say how much comes may send the most. Who sends more than there is room has all of it.
        let needed = (announced.unwrap_or(self.limits.body) - self.share).min(self.size);
        let mut room = self.take(needed).await?;
        parts.reserve(announced.unwrap_or_default());
        let waits = AtomicBool::new(false);
        let rest = async {
            loop {
                match timeout(MOMENT, parts.add_next(&mut body, self.limits.body)).await {
                    Ok(more) if more? => continue,
                    Ok(_) => break,
                    Err(_) => {}
                }
                let come = (parts.len() - self.share).min(needed);
                drop(room.split(room.num_permits() - come));
                if !parts.add_next(&mut body, self.limits.body).await? {
                    break;
                }
                waits.store(true, Ordering::Relaxed);
                room.merge(self.take(needed - come).await?);
                waits.store(false, Ordering::Relaxed);
            }
            Ok(Received { bytes: parts.into_bytes(), _room: Some(room) })
        };
        tokio::select! {
            biased;
            received = rest => received,
            () = self.late(&waits) => Err(Unreviewed::Slow),
        }
    }

    /// Room for so many bytes, once it is there.
    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Unreviewed> {
        const OPEN: &str = "the semaphore of a server is never closed";
        let bytes = u32::try_from(bytes).expect("the room is no larger");
        if let Ok(room) = Arc::clone(&self.free).try_acquire_many_owned(bytes) {
            return Ok(room);
        }
        let _place = self.queue.try_acquire().map_err(|_| Unreviewed::QueueFull)?;
        let mut room = pin!(Arc::clone(&self.free).acquire_many_owned(bytes));
        loop {
            self.wanted.notify_one();
            if let Ok(room) = timeout(ASK, &mut room).await {
                return Ok(room.expect(OPEN));
            }
        }
    }

    /// Waits until the body is late, and another asks for its room; who has been late for the longest is asked first.
    ///
    /// `waits` tells whether the body itself waits for room, and so is one of those who ask.
    async fn late(&self, waits: &AtomicBool) {
        sleep(self.limits.sending).await;
        loop {
            self.wanted.notified().await;
            let waiting = self.limits.queue - self.queue.available_permits();
            let itself = waits.load(Ordering::Relaxed);
            if waiting > usize::from(itself) {
                return;
            }
            // Who asked has been served meanwhile, or is this body itself: then another one that is late is asked.
            if itself {
                self.wanted.notify_one();
                sleep(ASK).await;
            }
        }
    }
}

/// How often one who waits asks for the room of another that has become late.
const ASK: Duration = Duration::from_millis(50);

/// What has come of a body; copied together only if there is more than one part.
#[derive(Default)]
struct Parts {
    first: Bytes,
    all: Vec<u8>,
}

impl Parts {
    /// Waits for the next part; false at the end.
    async fn add_next(&mut self, body: &mut Body, most: usize) -> Result<bool, Unreviewed> {
        if body.is_end_stream() {
            return Ok(false);
        }
        let Some(frame) = body.frame().await else { return Ok(false) };
        let Ok(part) = frame.map_err(|_| Unreviewed::Broken)?.into_data() else { return Ok(true) };
        if self.len() + part.len() > most {
            return Err(Unreviewed::TooLarge);
        }
        if self.len() == 0 {
            self.first = part;
        } else {
            self.reserve(self.len() + part.len());
            self.all.extend_from_slice(&part);
        }
        Ok(true)
    }

    /// Makes space for so many bytes in all.
    fn reserve(&mut self, bytes: usize) {
        if self.all.is_empty() {
            self.all.reserve(bytes);
            self.all.extend_from_slice(&self.first);
        } else {
            self.all.reserve(bytes.saturating_sub(self.all.len()));
        }
    }

    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}
