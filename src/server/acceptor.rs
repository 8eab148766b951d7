//! Accepting connections, for as long as the server runs.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::{
    Limits, Stage, connection,
    connections::{Connections, Place},
    stopping,
};

/// One listener's way from a TCP connection to a router.
pub(super) struct Acceptor {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) router: Router,
    pub(super) connections: Connections,
    pub(super) limits: Limits,
    pub(super) stages: watch::Receiver<Stage>,
}

/// How long requests that are being answered may take once nothing new is accepted: the most that the API server waits.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

impl Acceptor {
    /// Accepts until the server stops, then waits for the last answers.
    pub(super) async fn run(self, listener: TcpListener) {
        let acceptor = Arc::new(self);
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                () = stopping(&acceptor.stages) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let place = acceptor.connections.enter();
                        tasks.spawn(Arc::clone(&acceptor).connect(stream, place));
                    }
                    Err(error) => pause(&error).await,
                },
                Some(_) = tasks.join_next() => {}
            }
        }
        drop(listener);
        let last = async { while tasks.join_next().await.is_some() {} };
        if timeout(LAST_ANSWERS, last).await.is_err() {
            warn!(connections = tasks.len(), "connections cut off while stopping");
        }
    }

    async fn connect(self: Arc<Self>, stream: TcpStream, place: Place) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY not set");
        }
        let serve = async {
            let Some(tls) = &self.tls else { return connection::serve(stream, &self, &place).await };
            match timeout(self.limits.handshake, tls.accept(stream)).await {
                Ok(Ok(stream)) => connection::serve(stream, &self, &place).await,
                Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
                Err(_) => debug!("TLS handshake took too long"),
            }
        };
        tokio::select! {
            () = serve => {}
            () = place.evicted() => debug!("connection closed to make room"),
        }
    }
}

/// Waits after an error that more accepting would only repeat, such as too many open files.
async fn pause(error: &io::Error) {
    /// Long enough not to spin, short enough for the API server not to notice.
    const PAUSE: Duration = Duration::from_millis(50);
    let of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !of_one_connection {
        warn!(%error, "connections cannot be accepted");
        sleep(PAUSE).await;
    }
}
