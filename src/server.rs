//! The webhook over HTTPS, and its probes and metrics over HTTP.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_rustls::TlsAcceptor;
use tracing::info;

pub use self::{crd_watch::CrdWatch, limits::Limits, live_config::LiveConfig};
use self::{
    handler::Reviews,
    listener::{Acceptor, connections::Connections},
};
use crate::{
    certificates::Prover,
    kube::permissions::Permissions,
    metrics::Metrics,
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
mod limits;
mod listener;
mod live_config;
mod timer;

/// How the webhook is served.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What holds for reviews, until it is replaced.
    pub live: Arc<LiveConfig>,
    /// How long new connections are still served once the server is told to stop, unless it is told again: as long as
    /// endpoints of a Service need to forget it.
    pub drain: Duration,
    /// Who may call; without it anybody.
    pub callers: Option<Arc<Callers>>,
    /// Who is asked who may break glass; where the policy has that and this is absent, nobody may.
    pub permissions: Option<Arc<Permissions>>,
    /// What answers probes that are denied; without it, nothing does.
    pub prover: Option<Arc<Prover>>,
    /// Where spans go; without it none are made.
    pub spans: Option<Spans>,
}

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Requests are served, connections kept.
    Serving,
    /// Requests are served, on old and new connections, each of which ends with its answer.
    Draining,
    /// Nothing new is accepted, idle connections close.
    Stopping,
}

/// Serves `POST /mutate` and `POST /validate` on `listener` over TLS, and `/livez`, `/readyz` and `/metrics` on `admin`
/// without, until it is told to `stop`; then drains, unless it is told again, and returns when the last request is answered.
///
/// # Errors
///
/// [`TlsError`] where TLS cannot be configured; nothing that a caller sends ends the server.
pub async fn serve(
    listener: TcpListener,
    admin: TcpListener,
    certificates: Arc<Certificates>,
    metrics: Arc<Metrics>,
    config: Config,
    mut stop: impl AsyncFnMut(),
) -> Result<(), TlsError> {
    if let Some(pair) = certificates.current() {
        metrics.server.set_certificate_validity(pair.validity());
    }
    let (stage, stages) = watch::channel(Stage::Serving);
    let tls = TlsAcceptor::from(Arc::new(tls::server_config(Arc::clone(&certificates), config.callers)?));
    let live = config.live;
    let reviews =
        Reviews::new(Arc::clone(&live), config.permissions, config.prover, config.spans, Arc::clone(&metrics));
    let webhook = Acceptor {
        tls: Some(tls),
        router: reviews.clone().router(),
        connections: Connections::new(Some(Arc::clone(&metrics))),
        most: |limits| limits.connections,
        metrics: Arc::clone(&metrics),
        live: Arc::clone(&live),
        stages: stages.clone(),
    };
    let probes = Acceptor {
        tls: None,
        router: admin::router(certificates, reviews.clone(), Arc::clone(&metrics), stages.clone()),
        connections: Connections::new(None),
        most: |limits| limits.admin_connections,
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

/// Waits until nothing new is accepted.
async fn stopping(stages: &watch::Receiver<Stage>) {
    // An error says that the server is gone, which is as good.
    drop(stages.clone().wait_for(|stage| *stage == Stage::Stopping).await);
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}
