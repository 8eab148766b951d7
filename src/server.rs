//! The server: the two webhooks over HTTPS, and probes and metrics over HTTP.
//!
//! A request passes through `listener` (TCP, TLS, connection limit), `http` (timeouts), and `handler`. The handler asks
//! `intake` for memory and a turn, and then calls the pure core in [`crate::admission`].

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_rustls::TlsAcceptor;
use tracing::info;

pub use self::{
    crd_watch::CrdWatch,
    live_config::LiveConfig,
    metrics::{Metrics, ReviewMetrics, TrafficMetrics},
};
use self::{
    handler::Reviews,
    listener::{Acceptor, connections::Connections},
};
pub use crate::config::Limits;
use crate::{
    certificates::Prover,
    kube::permissions::Permissions,
    tls::{self, Callers, Certificates, TlsError},
    traces::Spans,
};

mod admin;
mod crd_watch;
mod deadline;
mod denials;
mod handler;
mod http;
mod intake;
mod listener;
mod live_config;
mod metrics;
mod timer;

/// Configuration of the server.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Policy and limits, which can change while the server runs.
    pub live: Arc<LiveConfig>,
    /// How long to accept new connections after the first stop signal, until the endpoints of the Service no longer list this
    /// replica. A second signal ends it.
    pub drain: Duration,
    /// Verifies client certificates. If none, any client may connect.
    pub callers: Option<Arc<Callers>>,
    /// Checks whether a user may break glass. If none, no user may.
    pub permissions: Option<Arc<Permissions>>,
    /// Adds the proof to denied arming probes. If none, they are denied without one.
    pub prover: Option<Arc<Prover>>,
    /// Exports spans. If none, none are recorded.
    pub spans: Option<Spans>,
}

/// Stage of the server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Serves requests and keeps connections open.
    Serving,
    /// Serves requests on old and new connections, and closes each connection after its response.
    Draining,
    /// Accepts no new connection, and closes idle ones.
    Stopping,
}

/// Serves `POST /mutate` and `POST /validate` over TLS on `listener`, and `/livez`, `/readyz` and `/metrics` without TLS on
/// `admin`.
///
/// Each call of `stop` completes at the next stop signal: the first starts draining, the second ends it. Returns after the last
/// request is answered.
///
/// # Errors
///
/// [`TlsError`] if TLS cannot be configured. No request can end the server.
pub async fn serve(
    listener: TcpListener,
    admin: TcpListener,
    certificates: Arc<Certificates>,
    metrics: Arc<Metrics>,
    config: Config,
    mut stop: impl AsyncFnMut(),
) -> Result<(), TlsError> {
    let (stage, stages) = watch::channel(Stage::Serving);
    let tls = TlsAcceptor::from(Arc::new(tls::server_config(Arc::clone(&certificates), config.callers)?));
    let live = config.live;
    let reviews =
        Reviews::new(Arc::clone(&live), config.permissions, config.prover, config.spans, Arc::clone(&metrics));
    let webhook = Acceptor {
        tls: Some(tls),
        router: reviews.clone().router(),
        connections: Connections::new(Some(Arc::clone(&metrics))),
        limit: |limits| limits.connections,
        metrics: Arc::clone(&metrics),
        live: Arc::clone(&live),
        stages: stages.clone(),
    };
    let probes = Acceptor {
        tls: None,
        router: admin::router(certificates, reviews.clone(), Arc::clone(&metrics), stages.clone()),
        connections: Connections::new(None),
        limit: |limits| limits.admin_connections,
        metrics,
        live,
        stages: stages.clone(),
    };
    info!(address = %address(&listener), admin_address = %address(&admin), "listening");
    let drain = async {
        stop().await;
        info!(seconds = config.drain.as_secs(), "draining");
        stage.send_replace(Stage::Draining);
        drop(timeout(config.drain, stop()).await);
        stage.send_replace(Stage::Stopping);
    };
    let served = async { tokio::join!(webhook.run(listener), probes.run(admin), drain) };
    tokio::select! {
        ((), (), ()) = served => {}
        () = reviews.run() => {}
    }
    reviews.finish();
    info!("stopped");
    Ok(())
}

/// Waits for [`Stage::Stopping`].
async fn stopping(stages: &watch::Receiver<Stage>) {
    // An error means that the server is gone, so it has stopped too.
    drop(stages.clone().wait_for(|stage| *stage == Stage::Stopping).await);
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}
