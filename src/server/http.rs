//! One connection, from its first request to its end.

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

/// Bytes of headers, and of what is read ahead of a body: an API server sends 300, a TLS record has 16 KiB, and hyper's own
/// 400 KiB on every connection would be 800 MiB.
const BUFFER: usize = 16 << 10;

/// How long a connection that has not been answered yet is waited for when the server stops: its caller could not know.
const FIRST_REQUEST: Duration = Duration::from_secs(2);

/// Answers the requests of a connection, one after the other, until either side ends it or the server stops.
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
