//! A stream that limits how long the headers of a request take.

use std::{
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

/// Where a connection is between two requests; shared by its stream and its service.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

/// Nothing of the next request has come.
const IDLE: u8 = 0;
/// Headers are coming in.
const HEADERS: u8 = 1;
/// The request is being received and answered; its own deadline holds.
const ANSWERING: u8 = 2;

impl Progress {
    /// The headers have come.
    pub(super) fn answering(&self) {
        self.0.store(ANSWERING, Ordering::Relaxed);
    }

    /// The answer is made.
    pub(super) fn answered(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }
}

/// Ends with an error when headers take longer than their limit from the request's first byte.
///
/// hyper's own limit also runs while a kept connection is idle, which must be let wait much longer.
pub(super) struct Timed<S> {
    inner: S,
    progress: Progress,
    limit: Duration,
    until: Pin<Box<Sleep>>,
}

impl<S> Timed<S> {
    pub(super) fn new(inner: S, progress: Progress, limit: Duration) -> Self {
        Self { inner, progress, limit, until: Box::pin(sleep_until(Instant::now())) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(cx, buffer) else {
            if self.progress.0.load(Ordering::Relaxed) == HEADERS {
                ready!(self.until.as_mut().poll(cx));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the headers took too long")));
            }
            return Poll::Pending;
        };
        let began = buffer.filled().len() > before
            && self.progress.0.compare_exchange(IDLE, HEADERS, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if began {
            let until = Instant::now() + self.limit;
            self.until.as_mut().reset(until);
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
