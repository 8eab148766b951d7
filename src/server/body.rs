//! Receiving a body within the limits of one and of all.

use std::{
    ops::Deref,
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
    time::Instant,
};

use super::{
    Limits,
    buffers::{Buffer, Buffers},
    ticks::Ticks,
};
use crate::metrics::Load;

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
    buffers: Arc<Buffers>,
    ticks: Ticks,
}

/// A body in memory, and the room that it takes for as long as it is there.
pub(super) enum Received {
    /// All that came at once.
    Part(Bytes),
    /// No more than its connection's share.
    Small(Vec<u8>),
    /// Whatever is larger.
    Large { buffer: Buffer, _room: OwnedSemaphorePermit },
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Part(bytes) => bytes,
            Self::Small(bytes) => bytes,
            Self::Large { buffer, .. } => buffer,
        }
    }
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

impl Unreviewed {
    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::QueueFull => "queue_full",
            Self::Deadline => "deadline",
            Self::Slow => "slow_body",
            Self::Broken => "broken_body",
        }
    }
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
            // All that bodies with room can need. It comes on top: what is kept may be in use by bodies that take little room.
            buffers: Arc::new(Buffers::new(size)),
            ticks: Ticks::default(),
        }
    }

    /// Sees to it that waits end and memory is given back, for as long as it is polled.
    pub(super) async fn run(&self) {
        tokio::join!(self.ticks.run(), self.buffers.tidy());
    }

    /// Bytes of room that are taken, and requests that wait for some.
    pub(super) fn load(&self) -> (Load, Load) {
        let load = |most: usize, free: usize| Load { now: most.saturating_sub(free), most };
        let bytes = load(self.size, self.free.available_permits());
        (bytes, load(self.limits.queue, self.queue.available_permits()))
    }

    /// The whole body, by the deadline.
    pub(super) async fn receive(&self, body: Body, deadline: Instant) -> Result<Received, Unreviewed> {
        self.ticks.timeout_at(deadline, self.collect(body)).await.unwrap_or(Err(Unreviewed::Deadline))
    }

    async fn collect(&self, mut body: Body) -> Result<Received, Unreviewed> {
        /// For which room is kept while nothing comes: an API server sends a body at once.
        const MOMENT: Duration = Duration::from_millis(20);
        let announced = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced.is_some_and(|bytes| bytes > self.limits.body) {
            return Err(Unreviewed::TooLarge);
        }
        let share = self.share.min(self.limits.body);
        let mut small = match next(&mut body).await? {
            Some(only) if body.is_end_stream() && only.len() <= share => return Ok(Received::Part(only)),
            Some(first) => first.to_vec(),
            None => return Ok(Received::Small(Vec::new())),
        };
        while small.len() <= share {
            let Some(part) = next(&mut body).await? else { return Ok(Received::Small(small)) };
            small.extend_from_slice(&part);
        }
        // Whoever does not say how much comes may send the most. Who sends more than there is room has all of it.
        let most = announced.unwrap_or(self.limits.body);
        let needed = (most - share).min(self.size);
        let mut room = self.take(needed).await?;
        let mut buffer = self.buffers.take(most).map_err(|_| Unreviewed::QueueFull)?;
        let mut fits = buffer.add(&small);
        drop(small);
        let waits = AtomicBool::new(false);
        let rest = async {
            while fits {
                let part = if let Some(part) = self.ticks.timeout(MOMENT, next(&mut body)).await {
                    part?
                } else {
                    let come = (buffer.len() - share).min(needed);
                    drop(room.split(room.num_permits() - come));
                    let part = next(&mut body).await?;
                    if part.is_some() {
                        waits.store(true, Ordering::Relaxed);
                        room.merge(self.take(needed - come).await?);
                        waits.store(false, Ordering::Relaxed);
                    }
                    part
                };
                let Some(part) = part else { return Ok(Received::Large { buffer, _room: room }) };
                fits = buffer.add(&part);
            }
            Err(Unreviewed::TooLarge)
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
            if let Some(room) = self.ticks.timeout(ASK, &mut room).await {
                return Ok(room.expect(OPEN));
            }
        }
    }

    /// Waits until the body is late, and another asks for its room; who has been late for the longest is asked first.
    ///
    /// `waits` tells whether the body itself waits for room, and so is one of those who ask.
    async fn late(&self, waits: &AtomicBool) {
        self.ticks.until(Instant::now() + self.limits.sending).await;
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
                self.ticks.until(Instant::now() + ASK).await;
            }
        }
    }
}

/// How often one who waits asks for the room of another that has become late.
const ASK: Duration = Duration::from_millis(50);

/// Waits for the next part of a body; none at its end.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Unreviewed> {
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        if let Ok(part) = frame.map_err(|_| Unreviewed::Broken)?.into_data() {
            return Ok(Some(part));
        }
    }
    Ok(None)
}
