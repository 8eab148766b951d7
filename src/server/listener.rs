//! Accepting connections, for as long as the server runs.

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
use crate::{
    metrics::Metrics,
    server::{Limits, Stage, http, live_config::LiveConfig, stopping},
};

pub(super) mod connections;
pub(super) mod crowds;
pub(super) mod handshake;

/// One listener's way from a TCP connection to a router.
pub(super) struct Acceptor {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) router: Router,
    pub(super) connections: Connections,
    /// Connections at a time.
    pub(super) most: fn(&Limits) -> usize,
    pub(super) metrics: Arc<Metrics>,
    pub(super) live: Arc<LiveConfig>,
    pub(super) stages: watch::Receiver<Stage>,
}

/// How long requests that are being answered may take once nothing new is accepted: the most that the API server waits.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// After an error that more accepting would only repeat, or where there are as many connections as may be, unless one ends:
/// long enough not to spin, short enough for the API server not to notice.
const PAUSE: Duration = Duration::from_millis(50);

/// For how long accepting must go well until its failure is news again.
const QUIET: Duration = Duration::from_mins(1);

/// The most connections that the kernel holds for a listener of tokio's.
const BACKLOG: usize = 1024;

impl Acceptor {
    /// Accepts until the server stops, then waits for the last answers.
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
                            warn!(%error, "connections cannot be accepted");
                        }
                        failed = Some(Instant::now());
                        acceptor.connections.close_one();
                        acceptor.wait_for_end(&mut tasks).await;
                    }
                },
                Some(ended) = tasks.join_next() => acceptor.note(&ended),
            }
        }
        // Whom the kernel has let in already is served: closing the listener would reset them.
        for _ in 0..BACKLOG {
            let Ok(Ok((stream, peer))) = timeout(Duration::ZERO, listener.accept()).await else { break };
            acceptor.take(stream, peer, &mut tasks).await;
        }
        drop(listener);
        let last = async {
            while let Some(ended) = tasks.join_next().await {
                acceptor.note(&ended);
            }
        };
        if timeout(LAST_ANSWERS, last).await.is_err() {
            warn!(connections = tasks.len(), "connections cut off while stopping");
        }
    }

    /// Tells of a connection that ended in a defect of ours: one must not end the others, but nor must it go unseen.
    fn note(&self, ended: &Result<(), JoinError>) {
        if ended.is_err() {
            self.metrics.count_panic();
            error!("a connection ended in a defect, which must be reported");
        }
    }

    async fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, tasks: &mut JoinSet<()>) {
        while let Some(ended) = tasks.try_join_next() {
            self.note(&ended);
        }
        let most = (self.most)(&self.live.limits());
        // What cannot be closed has a request whose answer ends soon. Until then the kernel keeps the new connection, whose
        // caller waits: refused, a write of the API server's would fail at once.
        while tasks.len() >= most && *self.stages.borrow() != Stage::Stopping {
            self.connections.make_room(most);
            self.wait_for_end(tasks).await;
        }
        let guard = self.connections.enter(peer.ip(), most);
        tasks.spawn(Arc::clone(self).connect(stream, guard));
    }

    /// Waits until a connection has gone, for a moment at the most.
    async fn wait_for_end(&self, tasks: &mut JoinSet<()>) {
        match timeout(PAUSE, tasks.join_next()).await {
            Ok(Some(ended)) => self.note(&ended),
            Ok(None) => sleep(PAUSE).await,
            Err(_) => {}
        }
    }

    async fn connect(self: Arc<Self>, stream: TcpStream, guard: ConnectionGuard) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY not set");
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
            () = guard.evicted() => debug!("connection closed to make room"),
        }
    }
}

/// Bounds what the kernel holds for each connection, which counts as the Pod's memory. Connections inherit it from their listener.
///
/// Without it the kernel holds megabytes of an answer that a client does not read, or of a body that waits for room, for as many
/// clients as there are connections. The kernel doubles both, for what it needs itself.
fn bound_buffers(listener: &TcpListener) {
    /// One TLS record: every usual answer fits.
    const SEND: usize = 16 << 10;
    /// What the kernel begins with on its own; it only no longer grows. With less, a large body takes a switch between two
    /// processes for every record.
    const RECEIVE: usize = 64 << 10;
    let socket = SockRef::from(listener);
    if let Err(error) = socket.set_send_buffer_size(SEND).and_then(|()| socket.set_recv_buffer_size(RECEIVE)) {
        warn!(%error, "the memory of connections is not bounded");
    }
}

/// Whether only the connection that was to be accepted is concerned, unlike where there are too many open files.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}
