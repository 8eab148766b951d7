//! Receiving a body within the limits of one and of all.

use std::{
    net::IpAddr,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::time::Instant;

use self::{
    buffers::{Buffer, Buffers},
    fair::Part,
    pool::BytePool,
};
use crate::{
    metrics::{Load, Shed},
    server::{Limits, timer::CoarseTimer},
};

pub(super) mod buffers;
pub(super) mod fair;
pub(super) mod pool;
pub(super) mod turns;

/// The room for bodies that are being received or reviewed: `in_flight` bytes in all.
///
/// Half of it is shared out to the connections. What fits into its connection's share, as nearly every review does, counts as
/// it comes in and waits for nobody. A body that outgrows its share takes room in the other half for all that it announces,
/// addresses by turns: so none waits for another with a part of itself in hand. Where nothing comes for a moment, what
/// has not come counts no longer, until more comes: who announces much and sends little takes little. And who takes too long
/// is given up when others wait, so that those who do wait with a part in hand do not wait for one another.
///
/// The largest bodies, of which few have room at a time, do not hold up the others, which have a quarter of it to themselves,
/// and half of the places of those who wait.
pub(super) struct BodyBudget {
    limits: Limits,
    /// Bytes of each body that need no room.
    share: usize,
    /// For bodies that outgrow their share by little.
    middle: BytePool,
    /// For those that outgrow it by more.
    large: BytePool,
    buffers: Arc<Buffers>,
    timer: Arc<CoarseTimer>,
}

/// A body in memory, and the room that it takes for as long as it is there.
pub(super) enum Received {
    /// All that came at once.
    Part(Bytes),
    /// No more than its connection's share.
    Small(Vec<u8>),
    /// Whatever is larger.
    Large { buffer: Buffer, _room: Part },
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
    /// The caller ended the body early.
    Broken,
    /// There was no room for it, or no time.
    Shed(Shed),
}

impl From<Shed> for Unreviewed {
    fn from(reason: Shed) -> Self {
        Self::Shed(reason)
    }
}

impl BodyBudget {
    pub(super) fn new(limits: Limits, timer: Arc<CoarseTimer>) -> Self {
        let share = limits.in_flight / 2 / limits.connections.max(1);
        let size = limits.in_flight - share * limits.connections;
        Self {
            limits,
            share,
            middle: BytePool::new(size / 4, limits.queue / 2),
            large: BytePool::new(size - size / 4, limits.queue.div_ceil(2)),
            // All that bodies with room can need. It comes on top: what is kept may be in use by bodies that take little room.
            buffers: Arc::new(Buffers::new(size)),
            timer,
        }
    }

    /// Gives memory back that nobody has needed for a while.
    pub(super) fn tidy(&self) {
        self.buffers.tidy();
    }

    /// Bytes of room that are taken, and requests that wait for some.
    pub(super) fn load(&self) -> (Load, Load) {
        let add = |a: Load, b: Load| Load { now: a.now + b.now, most: a.most + b.most };
        let (middle, large) = (self.middle.load(), self.large.load());
        (add(middle.0, large.0), add(middle.1, large.1))
    }

    /// The whole body from this address, by the deadline.
    pub(super) async fn receive(&self, peer: IpAddr, body: Body, deadline: Instant) -> Result<Received, Unreviewed> {
        self.timer.timeout_at(deadline, self.collect(peer, body)).await.unwrap_or(Err(Shed::Deadline.into()))
    }

    async fn collect(&self, peer: IpAddr, mut body: Body) -> Result<Received, Unreviewed> {
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
        let space = self.space(most - share);
        let needed = (most - share).min(space.size());
        let mut room = space.take(peer, needed, &self.timer).await?;
        let mut buffer = self.buffers.take(most).map_err(|_| Shed::QueueFull)?;
        let mut fits = buffer.add(&small);
        drop(small);
        let waits = AtomicBool::new(false);
        let rest = async {
            while fits {
                let part = if let Some(part) = self.timer.timeout(MOMENT, next(&mut body)).await {
                    part?
                } else {
                    let come = (buffer.len() - share).min(needed);
                    room.shrink(come);
                    let part = next(&mut body).await?;
                    if part.is_some() {
                        waits.store(true, Ordering::Relaxed);
                        room.merge(space.take(peer, needed - come, &self.timer).await?);
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
            () = space.late(self.limits.slow_body_grace, &waits, &self.timer) => Err(Shed::Slow.into()),
        }
    }

    /// Where a body takes room that outgrows its share by so many bytes.
    fn space(&self, bytes: usize) -> &BytePool {
        /// How many bodies of the middle size have room at least, each for no longer than a moment if it does not come: so that
        /// as many as there are connections take a second in all.
        const AT_A_TIME: usize = 32;
        if bytes <= self.middle.size() / AT_A_TIME { &self.middle } else { &self.large }
    }
}

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
