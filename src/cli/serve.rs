//! `serve`: runs the webhook.

use std::{env, future::pending, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use clusterprofile_webhook::{
    config::Settings,
    config_file::ConfigFile,
    error::error_chain,
    kube::permissions::Permissions,
    metrics::Metrics,
    review::Policy,
    server::{self, Config, CrdWatch, Limits, LiveConfig},
    tls::{self, Callers, Files},
    traces::{self, Endpoint},
    units,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tracing::warn;

use self::{listen::bind, source::Source};
use super::{choice::Choice, limit_flags::LimitFlags, managed};
use crate::logging;

mod listen;
mod source;

/// Arguments of `serve`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  clusterprofile-webhook serve --dev --dev-ca ca.crt
  clusterprofile-webhook serve --tls-cert /tls/tls.crt --tls-key /tls/tls.key --audit
  clusterprofile-webhook serve --tls-cert tls.crt --tls-key tls.key --effect name-prefix=warn
  clusterprofile-webhook serve --service clusterprofile-webhook")]
pub(super) struct Args {
    /// Address for the API server's calls, over HTTPS. Port 0 selects a free port. Without IPv6, [::] becomes 0.0.0.0
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8443", env = "CLUSTERPROFILE_WEBHOOK_LISTEN")]
    listen: SocketAddr,
    /// Address for probes and metrics, over HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8080", env = "CLUSTERPROFILE_WEBHOOK_ADMIN_LISTEN")]
    admin_listen: SocketAddr,
    /// Serving certificate (PEM). Reloaded on change
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Private key of the serving certificate (PEM). Reloaded on change
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Make a CA and a serving certificate in memory, to try out the webhook
    #[arg(long, env = "CLUSTERPROFILE_WEBHOOK_DEV", value_parser = BoolishValueParser::new())]
    dev: bool,
    /// File to write the CA certificate of --dev to
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_DEV_CA")]
    dev_ca: Option<PathBuf>,
    /// CA bundle (PEM) that client certificates are verified against. Reloaded on change. If unset, any client may connect
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_CLIENT_CA")]
    client_ca: Option<PathBuf>,
    /// Accepted name of a client certificate: its common name, or a DNS name, URI or e-mail address in it. Can be repeated
    #[arg(
        long = "client-name",
        value_name = "NAME",
        env = "CLUSTERPROFILE_WEBHOOK_CLIENT_NAME",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    client_names: Vec<String>,
    #[command(flatten)]
    managed: managed::Managed,
    #[command(flatten)]
    choice: Choice,
    /// Allow break-glass: a write that rules deny passes once if it has the break-glass annotation and the user has the verb
    /// break-glass. Requires a service account or KUBECONFIG
    #[arg(long, env = "CLUSTERPROFILE_WEBHOOK_BREAK_GLASS", value_parser = BoolishValueParser::new())]
    break_glass: bool,
    /// How long to accept new connections after SIGTERM, while the Service removes this endpoint
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_DRAIN")]
    drain: Duration,
    #[command(flatten)]
    limits: LimitFlags,
    /// Format of the log, which goes to standard error
    #[arg(long, value_enum, default_value_t = logging::Format::Text, env = "CLUSTERPROFILE_WEBHOOK_LOG_FORMAT")]
    log_format: logging::Format,
    /// Minimum log level
    #[arg(long, value_enum, default_value_t = logging::Level::Info, env = "CLUSTERPROFILE_WEBHOOK_LOG_LEVEL")]
    log_level: logging::Level,
    /// OpenTelemetry collector for spans of reviews, as http://HOST:PORT (OTLP over HTTP, without TLS)
    #[arg(long, value_name = "URL", env = "CLUSTERPROFILE_WEBHOOK_OTLP_ENDPOINT")]
    otlp_endpoint: Option<Endpoint>,
}

impl Args {
    /// Decided by value, not by presence, because a variable can set `--dev` to false.
    fn source(&self) -> anyhow::Result<Source> {
        let files = (self.tls_cert.clone(), self.tls_key.clone());
        if let Some(service) = &self.managed.service {
            let is_other = self.dev || files != (None, None);
            anyhow::ensure!(!is_other, "--service cannot be combined with --dev, --tls-cert or --tls-key");
            return Ok(Source::Managed(Box::new(self.managed.options(service)?)));
        }
        match (self.dev, files, self.dev_ca.clone()) {
            (false, (Some(certificate), Some(key)), _) => Ok(Source::Files(Files { certificate, key })),
            (false, ..) => {
                anyhow::bail!("no certificate: give --tls-cert and --tls-key, or --service, or --dev and --dev-ca")
            }
            (true, (None, None), Some(ca)) => Ok(Source::Dev(ca)),
            (true, (None, None), None) => anyhow::bail!("--dev requires --dev-ca"),
            (true, ..) => anyhow::bail!("--dev cannot be combined with --tls-cert or --tls-key"),
        }
    }

    /// Whether to use an API server: if a flag requires it, in a Pod, or with `KUBECONFIG`. A kubeconfig in the home directory
    /// does not count, because it may be for another cluster.
    fn uses_api_server(&self) -> bool {
        let is_set = |variable| env::var_os(variable).is_some_and(|value| !value.is_empty());
        self.managed.service.is_some()
            || self.break_glass
            || ["KUBERNETES_SERVICE_HOST", "KUBECONFIG"].into_iter().any(is_set)
    }

    /// The settings of flags and file. Flags take precedence.
    fn chosen(&self, file: Option<&Settings>) -> (Policy, Limits) {
        let (flags, unset) = (self.choice.settings().or(self.limits.settings()), Settings::default());
        let file = file.unwrap_or(&unset);
        let conflicts = flags.conflicts(file);
        if !conflicts.is_empty() {
            warn!(keys = conflicts.join(", "), "flags and variables override the configuration file");
        }
        let settings = flags.or(file);
        let mut policy = settings.policy();
        policy.set_break_glass(self.break_glass);
        let limits = settings.limits();
        (policy, Limits { connections: openable(limits.connections), ..limits })
    }

    /// Verifies client certificates. None if any client may connect.
    fn callers(&self) -> anyhow::Result<Option<Callers>> {
        match (self.client_ca.clone(), &self.client_names[..]) {
            (None, []) => Ok(None),
            (None, _) => anyhow::bail!("--client-name requires --client-ca"),
            (Some(_), []) => anyhow::bail!("--client-ca requires --client-name"),
            (Some(file), names) => Ok(Some(Callers::load(file, names.to_vec())?)),
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::default();
    let _log =
        logging::start(args.log_format, args.log_level, metrics.dropped_lines.clone()).context("cannot start")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let served = runtime.block_on(serve(args, metrics));
    // Do not wait for a file read, which may never end on a lost volume.
    runtime.shutdown_background();
    served
}

async fn serve(args: Args, metrics: Metrics) -> anyhow::Result<ExitCode> {
    let (source, callers) = match args.source().and_then(|source| Ok((source, args.callers()?))) {
        Ok((source, callers)) => (source, callers.map(Arc::new)),
        Err(error) => return Ok(super::unusable(&error)),
    };
    let file = match args.choice.file() {
        Ok(file) => file,
        Err(error) => return Ok(super::unusable_config(&error)),
    };
    // Bind first: if the address is in use, the file of --dev-ca belongs to the server that uses it.
    let listener = bind(args.listen, "--listen").await?;
    let admin = bind(args.admin_listen, "--admin-listen").await?;
    let (certificates, renewer) = match source.open().await {
        Ok((certificates, renewer)) => (Arc::new(certificates), renewer),
        Err(error) => return Ok(super::unusable(&error)),
    };
    let (policy, limits) = args.chosen(file.as_ref().map(ConfigFile::settings));
    let live = Arc::new(LiveConfig::new(policy, limits));
    let permissions = if args.break_glass { permissions().await } else { None };
    let crd = if args.uses_api_server() { crd_watch().await } else { None };
    let (spans, exporter) =
        args.otlp_endpoint.clone().map(|endpoint| traces::start(endpoint, metrics.dropped_spans.clone())).unzip();
    let exporter = exporter.map(|exporter| tokio::spawn(exporter.run()));
    let prover = renewer.prover();
    let config =
        Config { live: Arc::clone(&live), drain: args.drain, callers: callers.clone(), permissions, prover, spans };
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let watched_callers = async {
        match callers {
            Some(callers) => tls::watch_callers(callers, Arc::clone(&metrics.reloads)).await,
            None => pending().await,
        }
    };
    let watched_file = async {
        let apply = |settings: &Settings| {
            let (policy, limits) = args.chosen(Some(settings));
            live.replace(&policy, limits);
        };
        match file {
            Some(file) => file.watch(Arc::clone(&metrics.reloads), apply).await,
            None => pending().await,
        }
    };
    let watched_crd = async {
        match crd {
            Some(crd) => crd.run(&live).await,
            None => pending().await,
        }
    };
    tokio::select! {
        served = server::serve(listener, admin, Arc::clone(&certificates), Arc::clone(&metrics.server), config, stop) => served?,
        never = renewer.run(&certificates, &metrics) => match never {},
        never = watched_callers => match never {},
        never = watched_file => match never {},
        never = watched_crd => match never {},
    }
    renewer.release().await;
    if let Some(exporter) = exporter {
        /// Enough for a reachable collector. The process must not wait longer to exit.
        const LAST_SPANS: Duration = Duration::from_secs(2);
        drop(timeout(LAST_SPANS, exporter).await);
    }
    Ok(ExitCode::SUCCESS)
}

/// The client for break-glass checks. Without it the server still runs, and denies every claim.
async fn permissions() -> Option<Arc<Permissions>> {
    match Permissions::connect().await {
        Ok(permissions) => Some(Arc::new(permissions)),
        Err(error) => {
            warn!(error = error_chain(&error), "break-glass is unavailable; no claim can be checked");
            None
        }
    }
}

/// The watch of the CRD in force. Without it the server still runs, but cannot explain what the CRD refuses.
async fn crd_watch() -> Option<CrdWatch> {
    match CrdWatch::connect().await {
        Ok(crd) => Some(crd),
        Err(error) => {
            warn!(
                error = error_chain(&error),
                "CRD in force unknown; for writes that it refuses, users see only the API server's message"
            );
            None
        }
    }
}

/// The connection limit, lowered to what the limit of open files allows. At that limit, probes would fail too.
fn openable(connections: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    // Leave a quarter for probes, certificate files and everything else.
    match files.map(|files: usize| files - files / 4) {
        Some(most) if most < connections => {
            warn!(connections, most, "--max-connections lowered: the limit of open files (ulimit -n) is too low");
            most
        }
        _ => connections,
    }
}
