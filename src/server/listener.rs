//! Accepts connections within the connection limit, until the server stops.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use socket2::SockRef;
use tokio::{
    io,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, warn};

use self::connections::{ConnectionGuard, Connections};
use crate::server::{Limits, Metrics, Stage, http, live_config::LiveConfig, stopping};

pub(super) mod connections;
pub(super) mod crowds;
pub(super) mod handshake;

/// Accepts the connections of one listener, and serves each with the router.
pub(super) struct Acceptor {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) router: Router,
    pub(super) connections: Connections,
    /// The limit that applies to this listener.
    pub(super) limit: fn(&Limits) -> usize,
    pub(super) metrics: Arc<Metrics>,
    pub(super) live: Arc<LiveConfig>,
    pub(super) stages: watch::Receiver<Stage>,
}

/// How long to wait at shutdown for requests in progress: the longest timeout of an API server.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// Maximum pause after a failed accept, or while the connection limit is reached. The end of a connection ends it early.
///
/// Long enough not to spin, and short enough not to delay the API server.
const PAUSE: Duration = Duration::from_millis(50);

/// How long accepting must succeed before a failure is logged again.
const QUIET: Duration = Duration::from_mins(1);

/// Backlog of tokio's listeners: the maximum connections that the kernel has accepted and the server has not.
const BACKLOG: usize = 1024;

impl Acceptor {
    /// Accepts connections until the server stops, then waits for requests in progress.
    pub(super) async fn run(self, listener: TcpListener) {
        bound_buffers(&listener);
        let acceptor = Arc::new(self);
        let mut tasks = JoinSet::new();
        let mut failed: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stopping(&acceptor.stages) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => acceptor.take(stream, peer, &mut tasks).await,
                    Err(error) if is_of_one_connection(&error) => debug!(%error, "connection not accepted"),
                    Err(error) => {
                        if failed.is_none_or(|failed| failed.elapsed() > QUIET) {
                            warn!(%error, "cannot accept connections");
                        }
                        failed = Some(Instant::now());
                        acceptor.connections.evict_one();
                        acceptor.wait_for_end(&mut tasks).await;
                    }
                },
                Some(ended) = tasks.join_next() => acceptor.check_panic(&ended),
            }
        }
        // Serve connections that the kernel has already accepted: closing the listener would reset them.
        for _ in 0..BACKLOG {
            let Ok(Ok((stream, peer))) = timeout(Duration::ZERO, listener.accept()).await else { break };
            acceptor.take(stream, peer, &mut tasks).await;
        }
        drop(listener);
        let last = async {
            while let Some(ended) = tasks.join_next().await {
                acceptor.check_panic(&ended);
            }
        };
        if timeout(LAST_ANSWERS, last).await.is_err() {
            warn!(connections = tasks.len(), "closed connections with unfinished requests at shutdown");
        }
    }

    /// Counts and logs a panic. It ends only its own connection, but must not go unnoticed.
    fn check_panic(&self, ended: &Result<(), JoinError>) {
        if ended.is_err() {
            self.metrics.reviews.count_panic();
            error!("internal error in a connection; report this bug");
        }
    }

    async fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, tasks: &mut JoinSet<()>) {
        while let Some(ended) = tasks.try_join_next() {
            self.check_panic(&ended);
        }
        let limit = (self.limit)(&self.live.limits());
        // Connections that cannot be evicted are answering a request and will be free soon. Until then the new connection waits
        // in the kernel. If it were refused, a write through the API server would fail at once.
        while tasks.len() >= limit && *self.stages.borrow() != Stage::Stopping {
            self.connections.evict_to(limit);
            self.wait_for_end(tasks).await;
        }
        let guard = self.connections.enter(peer.ip(), limit);
        tasks.spawn(Arc::clone(self).connect(stream, guard));
    }

    /// Waits until a connection ends, at most for [`PAUSE`].
    async fn wait_for_end(&self, tasks: &mut JoinSet<()>) {
        match timeout(PAUSE, tasks.join_next()).await {
            Ok(Some(ended)) => self.check_panic(&ended),
            Ok(None) => sleep(PAUSE).await,
            Err(_) => {}
        }
    }

    async fn connect(self: Arc<Self>, stream: TcpStream, guard: ConnectionGuard) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let serve = async {
            let Some(tls) = &self.tls else { return http::serve(stream, &self, &guard).await };
            if let Some(stream) = handshake::shake(tls, stream, self.live.limits().handshake, &self.metrics).await {
                http::serve(stream, &self, &guard).await;
            }
        };
        tokio::select! {
            biased;
            () = serve => {}
            () = guard.evicted() => debug!("connection evicted"),
        }
    }
}

/// Limits the kernel's buffers for each connection, which count as memory of the Pod. Connections inherit them from the listener.
///
/// Otherwise the kernel could buffer megabytes for each connection: of a response that a client does not read, or of a body
/// that waits for memory. The kernel doubles both values for its own overhead.
fn bound_buffers(listener: &TcpListener) {
    /// One TLS record, which holds every usual response.
    const SEND: usize = 16 << 10;
    /// The kernel's initial size, which no longer grows. With less, a large body costs a context switch for every record.
    const RECEIVE: usize = 64 << 10;
    let socket = SockRef::from(listener);
    if let Err(error) = socket.set_send_buffer_size(SEND).and_then(|()| socket.set_recv_buffer_size(RECEIVE)) {
        warn!(%error, "cannot limit socket buffers; connections may use more memory");
    }
}

/// Whether the error concerns only this connection. Too many open files, for example, concerns all.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}
