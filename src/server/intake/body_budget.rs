//! Receives request bodies within the body budget.

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

use super::{fair::Part, pool::BytePool};
use crate::server::{
    Limits,
    metrics::{Load, Shed},
    timer::CoarseTimer,
};

/// The memory for bodies that are being received or reviewed: [`Limits::in_flight`] bytes in all.
///
/// Half of the budget is split evenly between connections. A body within its connection's share, as nearly every body is, never
/// waits.
///
/// A larger body reserves its whole announced length from the other half before it is read on, with client addresses taking
/// turns. So no two bodies can each hold memory that the other waits for. A body that stalls gives back what it has not used
/// yet, until it continues: announcing much and sending little reserves little. A body that arrives too slowly is rejected while
/// other requests wait for memory.
///
/// The other half has two pools. Bodies that are only a little larger than their share have a quarter of it and half of the
/// queue to themselves, so that the largest bodies do not block them.
pub(in crate::server) struct BodyBudget {
    limits: Limits,
    /// Bytes of each body that are not reserved from a pool.
    share: usize,
    /// For bodies that are a little larger than their share.
    middle: BytePool,
    /// For the largest bodies.
    large: BytePool,
    timer: Arc<CoarseTimer>,
}

/// A body in memory, with the memory that it reserves until it is dropped.
pub(in crate::server) enum Received {
    /// It arrived in one part.
    Part(Bytes),
    /// It arrived in parts. What exceeds its connection's share is reserved.
    Whole { bytes: Vec<u8>, _reserved: Option<Part> },
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Part(bytes) => bytes,
            Self::Whole { bytes, .. } => bytes,
        }
    }
}

/// Why a request was not reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Unreviewed {
    /// Its body exceeds [`Limits::body`].
    TooLarge,
    /// The client closed the connection before the body was complete.
    Broken,
    /// There was not enough memory or time.
    Shed(Shed),
}

impl From<Shed> for Unreviewed {
    fn from(reason: Shed) -> Self {
        Self::Shed(reason)
    }
}

impl BodyBudget {
    pub(in crate::server) fn new(limits: Limits, timer: Arc<CoarseTimer>) -> Self {
        let share = limits.in_flight / 2 / limits.connections.max(1);
        let size = limits.in_flight - share * limits.connections;
        Self {
            limits,
            share,
            middle: BytePool::new(size / 4, limits.queue / 2),
            large: BytePool::new(size - size / 4, limits.queue.div_ceil(2)),
            timer,
        }
    }

    /// Reserved bytes, and requests that wait for memory.
    pub(in crate::server) fn load(&self) -> (Load, Load) {
        let add = |a: Load, b: Load| Load { now: a.now + b.now, most: a.most + b.most };
        let (middle, large) = (self.middle.load(), self.large.load());
        (add(middle.0, large.0), add(middle.1, large.1))
    }

    /// Receives the whole body from this address before the deadline.
    pub(in crate::server) async fn receive(
        &self,
        peer: IpAddr,
        body: Body,
        deadline: Instant,
    ) -> Result<Received, Unreviewed> {
        self.timer.timeout_at(deadline, self.collect(peer, body)).await.unwrap_or(Err(Shed::Deadline.into()))
    }

    async fn collect(&self, peer: IpAddr, mut body: Body) -> Result<Received, Unreviewed> {
        /// How long a body may stall before it gives memory back. An API server sends a body at once.
        const MOMENT: Duration = Duration::from_millis(20);
        let announced = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced.is_some_and(|bytes| bytes > self.limits.body) {
            return Err(Unreviewed::TooLarge);
        }
        let share = self.share.min(self.limits.body);
        let mut bytes = match next(&mut body).await? {
            Some(only) if body.is_end_stream() && only.len() <= share => return Ok(Received::Part(only)),
            Some(first) => first.to_vec(),
            None => Vec::new(),
        };
        while bytes.len() <= share {
            let Some(part) = next(&mut body).await? else { return Ok(Received::Whole { bytes, _reserved: None }) };
            bytes.extend_from_slice(&part);
        }
        if bytes.len() > self.limits.body {
            return Err(Unreviewed::TooLarge);
        }
        // Without a length, reserve the maximum. A body larger than the pool reserves the whole pool.
        let most = announced.unwrap_or(self.limits.body);
        let pool = self.pool(most - share);
        let needed = (most - share).min(pool.size());
        let mut reserved = pool.take(peer, needed, &self.timer).await?;
        // One allocation: growing would copy the body, and hold it twice. jemalloc reuses the pages that were freed in the last
        // second: filling 2.4 MB takes 24 µs, and 1,020 µs in a new mapping.
        let make_room = |bytes: &mut Vec<u8>| {
            let room = most.min(self.limits.in_flight).saturating_sub(bytes.len());
            bytes.try_reserve_exact(room).map_err(|_| Shed::QueueFull)
        };
        make_room(&mut bytes)?;
        let waits = AtomicBool::new(false);
        let rest = async {
            loop {
                let part = if let Some(part) = self.timer.timeout(MOMENT, next(&mut body)).await {
                    part?
                } else {
                    let come = (bytes.len() - share).min(needed);
                    reserved.shrink(come);
                    // Reused pages are resident, even if this body never fills them.
                    bytes.shrink_to_fit();
                    let part = next(&mut body).await?;
                    if part.is_some() {
                        waits.store(true, Ordering::Relaxed);
                        reserved.merge(pool.take(peer, needed - come, &self.timer).await?);
                        waits.store(false, Ordering::Relaxed);
                        make_room(&mut bytes)?;
                    }
                    part
                };
                let Some(part) = part else { return Ok(Received::Whole { bytes, _reserved: Some(reserved) }) };
                if bytes.len() + part.len() > most {
                    return Err(Unreviewed::TooLarge);
                }
                bytes.extend_from_slice(&part);
            }
        };
        tokio::select! {
            biased;
            received = rest => received,
            () = pool.late(self.limits.slow_body_grace, &waits, &self.timer) => Err(Shed::Slow.into()),
        }
    }

    /// The pool for a body that exceeds its share by this many bytes.
    fn pool(&self, bytes: usize) -> &BytePool {
        /// At least this many bodies fit into the middle pool at once. A stalled body holds its memory only for a moment, so that
        /// one on every connection takes about a second in all.
        const AT_A_TIME: usize = 32;
        if bytes <= self.middle.size() / AT_A_TIME { &self.middle } else { &self.large }
    }
}

/// The next part of a body, or none at its end.
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
