//! `serve`: the webhook itself.

use std::{env, future::pending, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use clusterprofile_webhook::{
    config::Settings,
    config_file::ConfigFile,
    kube::permissions::Permissions,
    metrics::Metrics,
    review::Policy,
    server::{self, Config, CrdWatch, Limits, LiveConfig},
    tls::{self, Callers, Files},
    traces::{self, Endpoint},
    units,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tracing::warn;

use self::source::Source;
use super::{choice::Choice, managed};
use crate::logging;

mod source;

/// Arguments of `serve`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  clusterprofile-webhook serve --dev --dev-ca ca.crt
  clusterprofile-webhook serve --tls-cert /tls/tls.crt --tls-key /tls/tls.key --audit
  clusterprofile-webhook serve --tls-cert tls.crt --tls-key tls.key --effect name-prefix=warn
  clusterprofile-webhook serve --service clusterprofile-webhook")]
pub(super) struct Args {
    /// Where the API server calls, over HTTPS; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8443", env = "CLUSTERPROFILE_WEBHOOK_LISTEN")]
    listen: SocketAddr,
    /// Where probes and metrics are served, over HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8080", env = "CLUSTERPROFILE_WEBHOOK_ADMIN_LISTEN")]
    admin_listen: SocketAddr,
    /// PEM of the certificate; read again when it changes
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// PEM of its private key; read again when it changes
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Make a CA and a certificate in memory, to try the webhook
    #[arg(long, env = "CLUSTERPROFILE_WEBHOOK_DEV", value_parser = BoolishValueParser::new())]
    dev: bool,
    /// Where to write the certificate of the CA that --dev makes
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_DEV_CA")]
    dev_ca: Option<PathBuf>,
    /// PEM of the authorities of those who may call; read again when it changes; without it anybody may
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_CLIENT_CA")]
    client_ca: Option<PathBuf>,
    /// Who of them may call: a common name, DNS name, URI or e-mail address of the certificate; may be given again for
    /// another
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
    /// Let a write pass that rules deny, once, if it claims so in an annotation and its user has the verb break-glass: wants
    /// a service account, or KUBECONFIG
    #[arg(long, env = "CLUSTERPROFILE_WEBHOOK_BREAK_GLASS", value_parser = BoolishValueParser::new())]
    break_glass: bool,
    /// How long new connections are still served after SIGTERM, until the Service has forgotten this endpoint
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_DRAIN")]
    drain: Duration,
    /// Largest body of one request; by default 8MiB
    #[arg(long, value_name = "SIZE", value_parser = units::size, env = "CLUSTERPROFILE_WEBHOOK_MAX_BODY")]
    max_body: Option<usize>,
    /// Bytes of all bodies at a time, half of them shared out to the connections; a body larger than its share waits for
    /// room in the other half until its deadline; by default 64MiB
    #[arg(long, value_name = "SIZE", value_parser = units::size, env = "CLUSTERPROFILE_WEBHOOK_MAX_IN_FLIGHT")]
    max_in_flight: Option<usize>,
    /// Bodies at a time that wait for room; whatever finds so many there gets 503 at once, and may try again; by default
    /// 1024
    #[arg(long, value_name = "COUNT", env = "CLUSTERPROFILE_WEBHOOK_MAX_QUEUE")]
    max_queue: Option<u32>,
    /// Connections at a time; above it one that has completed no request is closed, else the one longest without;
    /// by default 2048
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), env = "CLUSTERPROFILE_WEBHOOK_MAX_CONNECTIONS")]
    max_connections: Option<u32>,
    /// How the log is written, to standard error
    #[arg(long, value_enum, default_value_t = logging::Format::Text, env = "CLUSTERPROFILE_WEBHOOK_LOG_FORMAT")]
    log_format: logging::Format,
    /// The least that is logged
    #[arg(long, value_enum, default_value_t = logging::Level::Info, env = "CLUSTERPROFILE_WEBHOOK_LOG_LEVEL")]
    log_level: logging::Level,
    /// Where a collector of OpenTelemetry takes a span of each review: http://HOST:PORT, for OTLP over HTTP
    #[arg(long, value_name = "URL", env = "CLUSTERPROFILE_WEBHOOK_OTLP_ENDPOINT")]
    otlp_endpoint: Option<Endpoint>,
}

impl Args {
    /// Judged by value, for a variable can also say that there is no `--dev`.
    fn source(&self) -> anyhow::Result<Source> {
        let files = (self.tls_cert.clone(), self.tls_key.clone());
        if let Some(service) = &self.managed.service {
            let is_other = self.dev || files != (None, None);
            anyhow::ensure!(!is_other, "--service must not be given with --dev, --tls-cert or --tls-key");
            return Ok(Source::Managed(Box::new(self.managed.options(service)?)));
        }
        match (self.dev, files, self.dev_ca.clone()) {
            (false, (Some(certificate), Some(key)), _) => Ok(Source::Files(Files { certificate, key })),
            (false, ..) => {
                anyhow::bail!("--tls-cert and --tls-key must be given, or --service, or --dev and --dev-ca")
            }
            (true, (None, None), Some(ca)) => Ok(Source::Dev(ca)),
            (true, (None, None), None) => anyhow::bail!("--dev-ca must be given with --dev"),
            (true, ..) => anyhow::bail!("--tls-cert and --tls-key must not be given with --dev"),
        }
    }

    /// Whether there is an API server to ask: because a flag says so, in a Pod, or by `KUBECONFIG`. The file in the home
    /// directory is no reason: whoever tries the webhook may have it for another cluster.
    fn asks_an_api_server(&self) -> bool {
        let is_set = |variable| env::var_os(variable).is_some_and(|value| !value.is_empty());
        self.managed.service.is_some()
            || self.break_glass
            || ["KUBERNETES_SERVICE_HOST", "KUBECONFIG"].into_iter().any(is_set)
    }

    /// What the flags choose.
    fn settings(&self) -> Settings {
        Settings {
            max_body: self.max_body,
            max_in_flight: self.max_in_flight,
            max_queue: self.max_queue,
            max_connections: self.max_connections,
            ..self.choice.settings()
        }
    }

    /// What flags and file choose; where both do, the flags.
    fn chosen(&self, file: Option<&Settings>) -> (Policy, Limits) {
        let (flags, unset) = (self.settings(), Settings::default());
        let file = file.unwrap_or(&unset);
        let conflicts = flags.conflicts(file);
        if !conflicts.is_empty() {
            warn!(keys = conflicts.join(", "), "flags and variables win over the configuration file");
        }
        let settings = flags.or(file);
        let mut policy = settings.policy();
        policy.set_break_glass(self.break_glass);
        let limits = Limits::chosen(&settings);
        (policy, Limits { connections: openable(limits.connections), ..limits })
    }

    /// Who may call, where that is limited.
    fn callers(&self) -> anyhow::Result<Option<Callers>> {
        match (self.client_ca.clone(), &self.client_names[..]) {
            (None, []) => Ok(None),
            (None, _) => anyhow::bail!("--client-ca must be given with --client-name"),
            (Some(_), []) => anyhow::bail!("--client-name must be given with --client-ca"),
            (Some(file), names) => Ok(Some(Callers::load(file, names.to_vec())?)),
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let metrics = Arc::new(Metrics::default());
    let _log = logging::start(args.log_format, args.log_level, &metrics).context("cannot start")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let served = runtime.block_on(serve(args, metrics));
    // Reading a file of the certificate pair never ends on a volume that is gone.
    runtime.shutdown_background();
    served
}

async fn serve(args: Args, metrics: Arc<Metrics>) -> anyhow::Result<ExitCode> {
    let (source, callers) = match args.source().and_then(|source| Ok((source, args.callers()?))) {
        Ok((source, callers)) => (source, callers.map(Arc::new)),
        Err(error) => return Ok(super::unusable(&error)),
    };
    let file = match args.choice.file() {
        Ok(file) => file,
        Err(error) => return Ok(super::unusable_config(&error)),
    };
    // First, for the CA's file belongs to whoever serves there already.
    let listener = bind(args.listen, "--listen").await?;
    let admin = bind(args.admin_listen, "--admin-listen").await?;
    let (certificates, renewer) = match source.open().await {
        Ok((certificates, renewer)) => (Arc::new(certificates), renewer),
        Err(error) => return Ok(super::unusable(&error)),
    };
    let (policy, limits) = args.chosen(file.as_ref().map(ConfigFile::settings));
    let live = Arc::new(LiveConfig::new(policy, limits));
    let permissions = if args.break_glass { permissions().await } else { None };
    let crd = if args.asks_an_api_server() { crd_watch().await } else { None };
    let (spans, exporter) =
        args.otlp_endpoint.clone().map(|endpoint| traces::start(endpoint, Arc::clone(&metrics))).unzip();
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
            Some(callers) => tls::watch_callers(callers, Arc::clone(&metrics)).await,
            None => pending().await,
        }
    };
    let watched_file = async {
        let apply = |settings: &Settings| {
            let (policy, limits) = args.chosen(Some(settings));
            live.replace(&policy, limits);
        };
        match file {
            Some(file) => file.watch(Arc::clone(&metrics), apply).await,
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
        served = server::serve(listener, admin, Arc::clone(&certificates), Arc::clone(&metrics), config, stop) => served?,
        never = renewer.run(&certificates, &metrics) => match never {},
        never = watched_callers => match never {},
        never = watched_file => match never {},
        never = watched_crd => match never {},
    }
    renewer.release().await;
    if let Some(exporter) = exporter {
        /// Nobody is held up by the end of a process; a collector that is there has taken the last spans by then.
        const LAST_SPANS: Duration = Duration::from_secs(2);
        drop(timeout(LAST_SPANS, exporter).await);
    }
    Ok(ExitCode::SUCCESS)
}

/// Who is asked who may break glass. Where there is nobody, everything else is served all the same.
async fn permissions() -> Option<Arc<Permissions>> {
    match Permissions::connect().await {
        Ok(permissions) => Some(Arc::new(permissions)),
        Err(error) => {
            warn!(error = format!("{:#}", anyhow::Error::from(error)), "break-glass: no claim can be checked");
            None
        }
    }
}

/// What follows the CRD in force. Where that is not known, /mutate does not speak for /validate.
async fn crd_watch() -> Option<CrdWatch> {
    match CrdWatch::connect().await {
        Ok(crd) => Some(crd),
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::from(error));
            warn!(error, "the CRD in force is unknown: writes that it refuses get its text alone");
            None
        }
    }
}

/// As many connections as asked for, or as many as the process may have open beside its other files.
///
/// Without a connection left, probes would be refused too.
fn openable(connections: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    // A quarter is left for probes, the certificate pair and whatever the system opens.
    match files.map(|files: usize| files - files / 4) {
        Some(most) if most < connections => {
            warn!(connections, most, "fewer connections than asked for, for the process may open too few files");
            most
        }
        _ => connections,
    }
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({flag})"))
}
