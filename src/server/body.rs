//! Receiving a body within the limits of one and of all.

use std::{
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};

use super::{
    Limits,
    senders::{Sender, Senders},
};

/// The room for bodies that are being received or reviewed.
///
/// Bytes count as they come in, so a caller that announces much and sends nothing holds nothing. When there is no more
/// room, requests wait for it with what they hold; so that they do not wait for one another, one of them at a time goes on
/// without, which makes `in_flight` plus one body the true limit. And so that nobody keeps the room by sending a part and
/// then nothing, whoever waits has the slowest of the bodies given up that have been on their way for too long.
pub(super) struct Room {
    limits: Limits,
    bytes: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
    waiting: AtomicUsize,
    senders: Senders,
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
        Self {
            limits,
            bytes: Arc::new(Semaphore::new(limits.in_flight.min(Semaphore::MAX_PERMITS))),
            beyond: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            senders: Senders::default(),
        }
    }

    /// The whole body, by the deadline.
    pub(super) async fn receive(&self, body: Body, deadline: Instant) -> Result<Received, Unreviewed> {
        timeout_at(deadline, self.collect(body)).await.unwrap_or(Err(Unreviewed::Deadline))
    }

    async fn collect(&self, mut body: Body) -> Result<Received, Unreviewed> {
        /// What is set aside before it has come: enough for nearly every body, too little to hurt.
        const AHEAD: usize = 64 << 10;
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.limits.body {
            return Err(Unreviewed::TooLarge);
        }
        let mut held = Held::default();
        let mut first = Bytes::new();
        let mut all = Vec::new();
        let mut sender = None;
        while let Some(frame) = next(&mut body, sender.as_ref()).await? {
            let Ok(bytes) = frame.into_data() else { continue };
            let received = first.len().max(all.len()) + bytes.len();
            if received > self.limits.body {
                return Err(Unreviewed::TooLarge);
            }
            self.hold(&mut held, bytes.len(), sender.as_ref()).await?;
            if first.is_empty() {
                first = bytes;
            } else {
                if all.is_empty() {
                    all = Vec::with_capacity(announced.clamp(received, received.max(AHEAD)));
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&bytes);
            }
            if body.is_end_stream() {
                break;
            }
            sender.get_or_insert_with(|| self.senders.enter());
        }
        let bytes = if all.is_empty() { first } else { all.into() };
        Ok(Received { bytes, _held: held })
    }

    /// Takes room for so many more bytes, waiting for it where there is none.
    async fn hold(&self, held: &mut Held, count: usize, sender: Option<&Sender<'_>>) -> Result<(), Unreviewed> {
        const OPEN: &str = "the semaphores of a server are never closed";
        /// How often a wait looks for a body that has become slow.
        const LOOK: Duration = Duration::from_millis(100);
        if held.beyond.is_some() {
            return Ok(());
        }
        let count = u32::try_from(count).expect("a frame is smaller than hyper's buffer");
        let bytes = if let Ok(bytes) = Arc::clone(&self.bytes).try_acquire_many_owned(count) {
            bytes
        } else {
            let _waiting = Waiting::enter(self)?;
            let _wait = sender.map(Sender::wait);
            let mut room = pin!(Arc::clone(&self.bytes).acquire_many_owned(count));
            let mut beyond = pin!(Arc::clone(&self.beyond).acquire_owned());
            loop {
                self.senders.shed_slowest(self.limits.sending);
                tokio::select! {
                    biased;
                    bytes = &mut room => break bytes.expect(OPEN),
                    beyond = &mut beyond => {
                        held.beyond = Some(beyond.expect(OPEN));
                        return Ok(());
                    }
                    () = sleep(LOOK) => {}
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

/// The next part of a body; none at its end.
async fn next(body: &mut Body, sender: Option<&Sender<'_>>) -> Result<Option<Frame<Bytes>>, Unreviewed> {
    let shed = async {
        match sender {
            Some(sender) => sender.shed().await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        frame = body.frame() => frame.transpose().map_err(|_| Unreviewed::Broken),
        () = shed => Err(Unreviewed::Slow),
    }
}

/// A place in the queue for room, given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(room: &'a Room) -> Result<Self, Unreviewed> {
        let place = Self(&room.waiting);
        // Whoever comes too many leaves again, by the drop.
        if room.waiting.fetch_add(1, Ordering::Relaxed) < room.limits.queue {
            Ok(place)
        } else {
            Err(Unreviewed::QueueFull)
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
