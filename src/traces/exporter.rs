//! Sends spans to a collector, in batches.

use std::{
    io, mem,
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    http::{
        Request,
        header::{CONNECTION, CONTENT_TYPE, HOST},
    },
};
use futures_util::future::{Either, select};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::counter::Counter;
use tokio::{
    net::{TcpStream, lookup_host},
    sync::mpsc,
    time::timeout,
};
use tracing::{info, warn};

use super::{Endpoint, TracesError, otlp, span::Record};
use crate::{error::error_chain, files};

/// Sends the spans of the queue, one batch after the other.
///
/// A batch that the collector does not accept is dropped and counted, not retried: an unreachable collector misses the rest of
/// the trace anyway.
pub struct Exporter {
    endpoint: Endpoint,
    /// The resolved addresses of the endpoint. Cleared after a failure.
    addresses: Vec<SocketAddr>,
    /// The host name, which in a Pod is the name of the Pod.
    instance: String,
    queue: mpsc::Receiver<Record>,
    dropped: Counter,
}

/// Maximum spans of one request: half a megabyte, where a collector accepts twenty.
const BATCH: usize = 512;

/// How long to collect a batch: at most one request a second, and spans still arrive soon.
const GATHER: Duration = Duration::from_secs(1);

/// Timeout of a request, the default of OpenTelemetry.
const ANSWER: Duration = Duration::from_secs(10);

/// How long sending must succeed before a failure is logged again.
const QUIET: Duration = Duration::from_mins(1);

/// Maximum bytes of the response headers, of which only the status is read.
const HEADERS: usize = 16 << 10;

impl Exporter {
    pub(super) fn new(endpoint: Endpoint, queue: mpsc::Receiver<Record>, dropped: Counter) -> Self {
        Self { endpoint, addresses: Vec::new(), instance: files::host(), queue, dropped }
    }

    /// Sends spans until the last [`Spans`](super::Spans) is dropped and the queue is empty.
    pub async fn run(mut self) {
        let mut failed: Option<Instant> = None;
        let mut batch = Vec::with_capacity(BATCH);
        while self.gather(&mut batch).await {
            match self.send(&batch).await {
                Ok(()) if failed.is_some_and(|failed| failed.elapsed() > QUIET) => {
                    failed = None;
                    info!(endpoint = %self.endpoint, "span export recovered");
                }
                Ok(()) => {}
                Err(error) => {
                    self.dropped.inc_by(batch.len() as u64);
                    if failed.is_none() {
                        warn!(error = error_chain(&error), "span export failed; dropping spans");
                    }
                    failed = Some(Instant::now());
                }
            }
            batch.clear();
        }
    }

    /// Collects the next batch, until it is full or [`GATHER`] has passed. False if the queue is closed and empty.
    async fn gather(&mut self, batch: &mut Vec<Record>) -> bool {
        if self.queue.recv_many(batch, BATCH).await == 0 {
            return false;
        }
        let more = async { while batch.len() < BATCH && self.queue.recv_many(batch, BATCH - batch.len()).await > 0 {} };
        drop(timeout(GATHER, more).await);
        true
    }

    async fn send(&mut self, batch: &[Record]) -> Result<(), TracesError> {
        let Endpoint { authority, .. } = &self.endpoint;
        if self.addresses.is_empty() {
            // No timeout other than the resolver's own: a lookup that is given up would still occupy its thread.
            let found = lookup_host(authority).await.map_err(|source| self.unreachable(source))?;
            self.addresses = found.collect();
        }
        let addresses = mem::take(&mut self.addresses);
        let body = otlp::request(&self.instance, batch);
        match timeout(ANSWER, self.post(&addresses, body)).await {
            Ok(Ok(status)) if (200..300).contains(&status) => {
                self.addresses = addresses;
                Ok(())
            }
            Ok(Ok(status)) => Err(TracesError::Refused { endpoint: self.endpoint.to_string(), status }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(TracesError::Late { endpoint: self.endpoint.to_string() }),
        }
    }

    /// Sends one request, and returns the status of the response.
    async fn post(&self, addresses: &[SocketAddr], body: Vec<u8>) -> Result<u16, TracesError> {
        let Endpoint { authority, path } = &self.endpoint;
        let failed = |source| TracesError::Http { endpoint: self.endpoint.to_string(), source };
        let stream = TcpStream::connect(addresses).await.map_err(|source| self.unreachable(source))?;
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(HEADERS).handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let request = Request::post(path)
            .header(HOST, authority)
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .expect("an endpoint is a URL");
        let answer = pin!(sender.send_request(request));
        let answered = match select(answer, pin!(connection)).await {
            Either::Left((answered, _)) => answered,
            // The connection may have ended with the response.
            Either::Right((_, answer)) => answer.await,
        };
        Ok(answered.map_err(failed)?.status().as_u16())
    }

    fn unreachable(&self, source: io::Error) -> TracesError {
        TracesError::Connect { endpoint: self.endpoint.to_string(), source }
    }
}
