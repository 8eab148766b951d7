//! HTTP on one connection: requests in turn, timeouts, and graceful shutdown.

use std::{convert::Infallible, time::Duration};

use axum::http::{HeaderValue, header::CONNECTION};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tower_service::Service as _;
use tracing::debug;

use self::stream::{Progress, TimeoutStream};
use crate::server::{
    Stage,
    handler::Answered,
    listener::{
        Acceptor,
        connections::{ConnectionGuard, Outcome},
    },
    stopping,
};

pub(super) mod stream;
pub(super) mod unsent;

/// Maximum bytes of headers, and of read-ahead of a body.
///
/// An API server sends 300 bytes of headers, and a TLS record has 16 KiB. hyper's default of 400 KiB would be 800 MiB for all
/// connections.
const BUFFER: usize = 16 << 10;

/// How long to wait at shutdown for the first request of a new connection, whose client cannot know of the shutdown.
const FIRST_REQUEST: Duration = Duration::from_secs(2);

/// Serves the requests of a connection until either side closes it or the server stops.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, acceptor: &Acceptor, guard: &ConnectionGuard) {
    let Acceptor { router, live, stages, .. } = acceptor;
    let limits = live.limits();
    let progress = Progress::new(guard.seat().clone());
    let service = service_fn(|mut request: Request<Incoming>| {
        progress.answering();
        request.extensions_mut().insert(guard.seat().clone());
        let answer = router.clone().call(request);
        async {
            let Ok(mut response) = answer.await;
            if *stages.borrow() != Stage::Serving {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let answered = response.extensions_mut().remove::<Answered>();
            let ends = response.headers().get(CONNECTION).is_some_and(|value| value == "close");
            progress.answered(match &answered {
                _ if ends => Outcome::Ends,
                Some(_) => Outcome::Reviewed,
                None => Outcome::Other,
            });
            if let Some(Answered(unsent)) = answered {
                guard.seat().answer(unsent);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(TimeoutStream::new(stream, progress.clone(), &limits)), service);
    let mut connection = std::pin::pin!(connection);
    let mut ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = stopping(stages) => None,
    };
    if ended.is_none() && !progress.is_idle() {
        ended = timeout(FIRST_REQUEST, connection.as_mut()).await.ok();
    }
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        ended = Some(connection.await);
    }
    if let Some(Err(error)) = ended {
        debug!(%error, "connection ended");
    }
}
