//! The floor: the minimum cost of a server over HTTPS.
//!
//! It has the same TLS, HTTP library and settings as the webhook, and the simplest accept loop. It reads a body to its
//! end and returns a constant. It has no router, limits, log or metrics, and keeps nothing of the body: the cost of
//! storing 2.4 MB varies with the pages that the allocator happens to have, which would make the floor useless as a
//! unit.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clusterprofile_webhook::tls::{self, Certificates, Files};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// As long as the response of the webhook without findings.
const ANSWER: &[u8] = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"672587ac-6b43-426c-8a76-8a2aedea26de","allowed":true}}"#;

/// As in `src/server/http.rs`.
const BUFFER: usize = 16 << 10;

/// As in `src/config/limits.rs`.
const IDLE: Duration = Duration::from_mins(2);

/// Serves until it is killed.
pub(crate) fn serve(listen: SocketAddr, certificate: PathBuf, key: PathBuf) -> anyhow::Result<()> {
    let pair = Files { certificate, key }.load()?;
    let tls = TlsAcceptor::from(Arc::new(tls::server_config(Arc::new(Certificates::new(pair)), None)?));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let tls = tls.clone();
            tokio::spawn(async move { drop(connect(stream, tls).await) });
        }
    })
}

async fn connect(stream: TcpStream, tls: TlsAcceptor) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    Ok(connection.await?)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
