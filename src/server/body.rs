//! Receiving a body within the limits of one and of all.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::Limits;

/// The room for bodies that are being received or reviewed.
///
/// Bytes count as they come in, so a caller that announces much and sends nothing holds nothing. When there is no more
/// room, requests wait for it with what they hold; so that they do not wait for one another, one of them at a time goes on
/// without, which makes `in_flight` plus one body the true limit.
pub(super) struct Room {
    limits: Limits,
    bytes: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A body in memory, and the room that it takes for as long as it is there.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _held: Held,
}

/// What a body holds of the room.
#[derive(Default)]
struct Held {
    bytes: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

/// Why a body was not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreceived {
    /// It is larger than one may be.
    TooLarge,
    /// Too many requests wait for room.
    QueueFull,
    /// The deadline passed.
    Deadline,
    /// The caller ended it early.
    Broken,
}

impl Room {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            bytes: Arc::new(Semaphore::new(limits.in_flight)),
            beyond: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The whole body, by the deadline.
    pub(super) async fn receive(&self, body: Body, deadline: Instant) -> Result<Received, Unreceived> {
        timeout_at(deadline, self.collect(body)).await.unwrap_or(Err(Unreceived::Deadline))
    }

    async fn collect(&self, mut body: Body) -> Result<Received, Unreceived> {
        /// What is set aside before it has come: enough for nearly every body, too little to hurt.
        const AHEAD: usize = 64 << 10;
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.limits.body {
            return Err(Unreceived::TooLarge);
        }
        let mut held = Held::default();
        let mut first = Bytes::new();
        let mut all = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame.map_err(|_| Unreceived::Broken)?.into_data() else { continue };
            let received = first.len().max(all.len()) + bytes.len();
            if received > self.limits.body {
                return Err(Unreceived::TooLarge);
            }
            self.hold(&mut held, bytes.len()).await?;
            if first.is_empty() {
                first = bytes;
            } else {
                if all.is_empty() {
                    all = Vec::with_capacity(announced.clamp(received, received.max(AHEAD)));
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&bytes);
            }
        }
        let bytes = if all.is_empty() { first } else { all.into() };
        Ok(Received { bytes, _held: held })
    }

    /// Takes room for so many more bytes, waiting for it where there is none.
    async fn hold(&self, held: &mut Held, count: usize) -> Result<(), Unreceived> {
        const OPEN: &str = "the semaphores of a server are never closed";
        if held.beyond.is_some() {
            return Ok(());
        }
        let count = u32::try_from(count).expect("a frame is smaller than the largest body");
        let bytes = if let Ok(bytes) = Arc::clone(&self.bytes).try_acquire_many_owned(count) {
            bytes
        } else {
            let _waiting = Waiting::enter(self)?;
            tokio::select! {
                biased;
                bytes = Arc::clone(&self.bytes).acquire_many_owned(count) => bytes.expect(OPEN),
                beyond = Arc::clone(&self.beyond).acquire_owned() => {
                    held.beyond = Some(beyond.expect(OPEN));
                    return Ok(());
                }
            }
        };
        match &mut held.bytes {
            Some(held) => held.merge(bytes),
            none => *none = Some(bytes),
        }
        Ok(())
    }
}

/// A place in the queue for room, given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(room: &'a Room) -> Result<Self, Unreceived> {
        let place = Self(&room.waiting);
        // Whoever comes too many leaves again, by the drop.
        if room.waiting.fetch_add(1, Ordering::Relaxed) < room.limits.queue {
            Ok(place)
        } else {
            Err(Unreceived::QueueFull)
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
