//! `serve`: the webhook itself.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clusterprofile_webhook::{
    metrics::Metrics,
    server::{self, Config, Limits},
    tls::{self, Certificates, Files},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{effects::Effects, log, units};

/// Arguments of `serve`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  clusterprofile-webhook serve --dev --dev-ca ca.crt
  clusterprofile-webhook serve --tls-cert /tls/tls.crt --tls-key /tls/tls.key --audit
  clusterprofile-webhook serve --tls-cert tls.crt --tls-key tls.key --effect name-prefix=warn")]
pub(super) struct Args {
    /// Where the API server calls, over HTTPS; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8443", env = "CLUSTERPROFILE_WEBHOOK_LISTEN")]
    listen: SocketAddr,
    /// Where probes and metrics are served, over HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8080", env = "CLUSTERPROFILE_WEBHOOK_ADMIN_LISTEN")]
    admin_listen: SocketAddr,
    /// PEM of the certificate; read again when it changes
    #[arg(
        long,
        value_name = "FILE",
        env = "CLUSTERPROFILE_WEBHOOK_TLS_CERT",
        requires = "tls_key",
        required_unless_present = "dev"
    )]
    tls_cert: Option<PathBuf>,
    /// PEM of its private key; read again when it changes
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Make a CA and a certificate in memory, to try the webhook
    #[arg(long, env = "CLUSTERPROFILE_WEBHOOK_DEV", requires = "dev_ca", conflicts_with_all = ["tls_cert", "tls_key"])]
    dev: bool,
    /// Where to write the certificate of the CA that --dev makes
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_DEV_CA", requires = "dev")]
    dev_ca: Option<PathBuf>,
    #[command(flatten)]
    effects: Effects,
    /// How long new connections are still served after SIGTERM, until the Service has forgotten this endpoint
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_DRAIN")]
    drain: Duration,
    /// Largest body of one request
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = units::size, env = "CLUSTERPROFILE_WEBHOOK_MAX_BODY")]
    max_body: usize,
    /// Bytes of all bodies at a time, half of them shared out to the connections; a body larger than its share waits for
    /// room in the other half until its deadline
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = units::size, env = "CLUSTERPROFILE_WEBHOOK_MAX_IN_FLIGHT")]
    max_in_flight: usize,
    /// Connections at a time; above it one that has completed no request is closed, else the one longest without
    #[arg(long, value_name = "COUNT", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..), env = "CLUSTERPROFILE_WEBHOOK_MAX_CONNECTIONS")]
    max_connections: u32,
    /// How the log is written, to standard error
    #[arg(long, value_enum, default_value_t = log::Format::Text, env = "CLUSTERPROFILE_WEBHOOK_LOG_FORMAT")]
    log_format: log::Format,
    /// The least that is logged
    #[arg(long, value_enum, default_value_t = log::Level::Info, env = "CLUSTERPROFILE_WEBHOOK_LOG_LEVEL")]
    log_level: log::Level,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let metrics = Arc::new(Metrics::default());
    let _log = log::start(args.log_format, args.log_level, &metrics).context("cannot start")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(serve(args, metrics))
}

async fn serve(args: Args, metrics: Arc<Metrics>) -> anyhow::Result<ExitCode> {
    let files = args.tls_cert.zip(args.tls_key).map(|(certificate, key)| Files { certificate, key });
    let pair = match (&files, &args.dev_ca) {
        (Some(files), _) => files.load()?,
        (None, Some(ca)) => tls::dev_pair(ca)?,
        (None, None) => anyhow::bail!("--tls-cert and --tls-key, or --dev and --dev-ca, must be given"),
    };
    let certificates = Arc::new(Certificates::new(pair));
    let limits = Limits {
        body: args.max_body,
        in_flight: args.max_in_flight,
        connections: usize::try_from(args.max_connections)?,
        ..Limits::default()
    };
    let config = Config { policy: args.effects.policy(), limits, drain: args.drain };
    let listener = bind(args.listen, "--listen").await?;
    let admin = bind(args.admin_listen, "--admin-listen").await?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let watched = async {
        match files {
            Some(files) => tls::watch(files, Arc::clone(&certificates), Arc::clone(&metrics)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        served = server::serve(listener, admin, Arc::clone(&certificates), Arc::clone(&metrics), config, stop) => served?,
        never = watched => match never {},
    }
    Ok(ExitCode::SUCCESS)
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({flag})"))
}
