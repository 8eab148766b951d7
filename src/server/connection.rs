//! One connection, from its first request to its end.

use axum::http::{HeaderValue, header::CONNECTION};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service as _;
use tracing::debug;

use super::{
    Stage,
    acceptor::Acceptor,
    connections::Place,
    stopping,
    stream::{Progress, Timed},
};

/// Answers the requests of a connection, one after the other, until either side ends it or the server stops.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, acceptor: &Acceptor, place: &Place) {
    let Acceptor { router, limits, stages, .. } = acceptor;
    let progress = Progress::default();
    let service = service_fn(|request: Request<Incoming>| {
        progress.answering();
        let answer = router.clone().call(request);
        async {
            let Ok(mut response) = answer.await;
            if *stages.borrow() != Stage::Serving {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            progress.answered();
            place.complete();
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let stream = Timed::new(stream, progress.clone(), limits.headers);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping(stages) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}
