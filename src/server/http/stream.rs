//! A stream with timeouts for receiving headers, for writing a response and for closing.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::server::{
    Limits,
    listener::connections::{Outcome, Seat},
};

/// How far a connection is with its current request. Shared by its stream and its service; changes also go to its [`Seat`].
#[derive(Clone)]
pub(in crate::server) struct Progress {
    state: Arc<AtomicU8>,
    seat: Seat,
}

/// No byte of the first request has arrived.
const NEW: u8 = 0;
/// Receiving headers.
const HEADERS: u8 = 1;
/// Receiving the body, or answering. The deadline of the request applies.
const ANSWERING: u8 = 2;
/// A request was answered, and no byte of the next one has arrived.
const IDLE: u8 = 3;
/// Writing the response to a review.
const WRITING_REVIEW: u8 = 4;
/// Writing another response.
const WRITING_OTHER: u8 = 5;
/// Writing the last response of the connection.
const WRITING_LAST: u8 = 6;

impl Progress {
    pub(in crate::server) fn new(seat: Seat) -> Self {
        Self { state: Arc::new(AtomicU8::new(NEW)), seat }
    }

    /// Records that the headers are complete.
    pub(in crate::server) fn answering(&self) {
        self.state.store(ANSWERING, Ordering::Relaxed);
    }

    /// Records that the response is ready to be written.
    pub(in crate::server) fn answered(&self, outcome: Outcome) {
        let writing = match outcome {
            Outcome::Reviewed => WRITING_REVIEW,
            Outcome::Other => WRITING_OTHER,
            Outcome::Ends => WRITING_LAST,
        };
        self.state.store(writing, Ordering::Relaxed);
    }

    /// Records that everything was written.
    fn flushed(&self) {
        let outcome = match self.state.load(Ordering::Relaxed) {
            WRITING_REVIEW => Outcome::Reviewed,
            WRITING_OTHER => Outcome::Other,
            WRITING_LAST => Outcome::Ends,
            _ => return,
        };
        self.state.store(IDLE, Ordering::Relaxed);
        self.seat.written(outcome);
    }

    /// Whether the connection is between two requests, so that closing it fails no request.
    pub(in crate::server) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Relaxed) == IDLE
    }

    fn is_receiving_headers(&self) -> bool {
        self.state.load(Ordering::Relaxed) == HEADERS
    }

    fn begin(&self) -> bool {
        let begin = |from| self.state.compare_exchange(from, HEADERS, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        begin(IDLE) || begin(NEW)
    }
}

/// A stream that fails if receiving headers or writing a response takes too long, and that lingers after the last response.
///
/// hyper's header timeout also runs while a connection is idle, where the limit is much longer, and hyper has no write timeout.
/// If a client pipelines a request, its headers do not start the timeout; then only the idle timeout applies.
pub(in crate::server) struct TimeoutStream<S> {
    inner: S,
    progress: Progress,
    headers: Duration,
    write_timeout: Duration,
    headers_until: Instant,
    taken_until: Option<Instant>,
    lingering: Option<Lingering>,
    reading: Alarm,
    writing: Alarm,
}

/// How long to keep the connection after the last response, and how many bytes to discard.
struct Lingering {
    until: Instant,
    bytes: usize,
}

impl<S> TimeoutStream<S> {
    pub(in crate::server) fn new(inner: S, progress: Progress, limits: &Limits) -> Self {
        Self {
            inner,
            progress,
            headers: limits.headers,
            write_timeout: limits.write_timeout,
            headers_until: Instant::now(),
            taken_until: None,
            lingering: None,
            reading: Alarm::default(),
            writing: Alarm::default(),
        }
    }

    /// Returns the result of a write, or an error if the client has not read for too long.
    fn limited<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            if self.taken_until.is_none() {
                self.progress.seat.stall();
            }
            let until = *self.taken_until.get_or_insert_with(|| Instant::now() + self.write_timeout);
            ready!(self.writing.poll(until, cx));
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client did not read the answer in time",
            )));
        }
        written
    }
}

impl<S: AsyncRead + Unpin> TimeoutStream<S> {
    /// Discards input until the client closes the connection or the limits of `lingering` are reached.
    ///
    /// Closing a socket with unread bytes resets it, and a reset can overtake the response. A client that sends too large a
    /// body would then miss the reason.
    fn poll_gone(&mut self, mut lingering: Lingering, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 8 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && lingering.bytes >= buffer.filled().len() => {
                    lingering.bytes -= buffer.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    let gone = self.reading.poll(lingering.until, cx);
                    self.lingering = Some(lingering);
                    return gone;
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimeoutStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(cx, buffer) else {
            if self.progress.is_receiving_headers() {
                let until = self.headers_until;
                ready!(self.reading.poll(until, cx));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the headers did not arrive in time")));
            }
            return Poll::Pending;
        };
        if buffer.filled().len() > before && self.progress.begin() {
            self.headers_until = Instant::now() + self.headers;
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimeoutStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.limited(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.limited(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        if flushed.is_ready() {
            self.taken_until = None;
            self.progress.flushed();
        }
        self.limited(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        /// Enough for a round trip, and for what the client sends meanwhile.
        const LINGER: Duration = Duration::from_secs(1);
        /// One more body of the default maximum size. A client that sends more is cut off.
        const LINGER_BYTES: usize = 8 << 20;
        let lingering = if let Some(lingering) = self.lingering.take() {
            lingering
        } else {
            let closed = Pin::new(&mut self.inner).poll_shutdown(cx);
            ready!(self.limited(closed, cx))?;
            Lingering { until: Instant::now() + LINGER, bytes: LINGER_BYTES }
        };
        self.poll_gone(lingering, cx).map(Ok)
    }
}

/// A timer that is allocated on first use.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready at `until`.
    fn poll(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if sleep.deadline() != until {
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(cx)
    }
}
