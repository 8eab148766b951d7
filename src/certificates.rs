//! Self-managed certificates: CAs in a Secret, a leaf certificate in the memory of each replica, and the caBundles that trust
//! the CAs.
//!
//! ```text
//! Secret ── CAs ─► replica: signs a leaf certificate, serves it as soon as every live configuration trusts its CA
//!    ▲                                    ▲
//!    └── leader, by Lease: Rotation::next ─► make, store, publish caBundle; then arm
//! ```
//!
//! [`Managed::run`] never withdraws a certificate: while the API server is unreachable, replicas keep theirs.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::core::Status;
use thiserror::Error;
use tokio::{sync::watch, time::timeout};

use self::{cluster::Cluster, election::Election, leader::Leader, metrics::Failure, replica::Replica};
pub use self::{metrics::Metrics, proof::Prover, rotation::Lifetimes};
use crate::{error::error_chain, files, kube::client::AccessError, random::random, tls::Certificates};

mod arming;
mod bundle;
mod ca;
mod cluster;
mod election;
mod failure_log;
mod leader;
mod metrics;
mod proof;
mod replica;
mod rotation;
mod state;

/// Why certificates cannot be managed, or one attempt at it has failed.
#[derive(Debug, Error)]
pub enum CertificatesError {
    /// No client for the API server could be made.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The API server refused the request.
    #[error("cannot {operation}: {message}", message = status.message)]
    Refused {
        /// What was attempted, as in "read the Secret".
        operation: &'static str,
        /// The response of the API server.
        status: Box<Status>,
    },
    /// The request failed without a response.
    #[error("cannot {operation}")]
    Request {
        /// What was attempted, as in "read the Secret".
        operation: &'static str,
        /// Why it failed.
        source: kube::Error,
    },
    /// The API server did not respond in time.
    #[error("cannot {operation}: the API server did not respond in time")]
    Timeout {
        /// What was attempted, as in "read the Secret".
        operation: &'static str,
    },
    /// The crypto library could not generate random numbers.
    #[error("cannot generate random numbers")]
    Random(#[from] aws_lc_rs::error::Unspecified),
    /// The crypto library could not make a CA.
    #[error("cannot make a CA")]
    Make(#[from] rcgen::Error),
}

/// The names of the objects in the cluster that belong to the webhook.
#[derive(Clone, Debug)]
pub struct Names {
    /// The Service. Its DNS names are in every leaf certificate.
    pub service: String,
    /// The namespace of Service, Secret and Lease. If none, that of the service account or of the kubeconfig's context.
    pub namespace: Option<String>,
    /// The Secret with the CAs.
    pub secret: String,
    /// The Lease that elects the leader.
    pub lease: String,
    /// The webhook configurations; the mutating and the validating one share a name.
    pub configuration: String,
}

/// How certificates are managed.
#[derive(Clone, Debug)]
pub struct Options {
    /// The objects in the cluster.
    pub names: Names,
    /// Lifetimes of the certificates.
    pub lifetimes: Lifetimes,
    /// Duration of the Lease: how long a leader may fail to renew it before another replica takes over.
    pub lease: Duration,
    /// Whether the leader sets failurePolicy to Fail once the webhook was seen to deny a bad profile.
    pub arming: bool,
}

/// Manages the certificates of a webhook: each replica runs one, which serves a leaf certificate and leads when it is elected.
#[derive(Debug)]
pub struct Managed {
    cluster: Cluster,
    options: Options,
    /// Unique for each start of each replica.
    identity: String,
    prover: Arc<Prover>,
}

impl Managed {
    /// Configures a client for the API server. Sends no request.
    ///
    /// # Errors
    ///
    /// [`CertificatesError::Access`].
    pub async fn new(options: Options) -> Result<Self, CertificatesError> {
        let cluster = Cluster::connect(options.names.clone()).await?;
        let identity = format!("{}_{:016x}", files::host(), random());
        let prover = Arc::new(Prover::new(&cluster.namespace, &cluster.names.configuration));
        Ok(Self { cluster, options, identity, prover })
    }

    /// Answers the leader's probes. Every replica needs one, because the API server may send a probe to any of them.
    #[must_use]
    pub fn prover(&self) -> Arc<Prover> {
        Arc::clone(&self.prover)
    }

    /// Keeps a leaf certificate in `certificates`, and leads while elected. Runs until dropped.
    pub async fn run(&self, certificates: Arc<Certificates>, metrics: Arc<Metrics>) -> Infallible {
        let Self { cluster, options, identity, prover } = self;
        let (sender, changes) = watch::channel(());
        let watch = cluster.watch(&sender, |error| failure_log::count(&metrics, Failure::Watch, error));
        let replica = Replica::new(cluster, options.lifetimes, Arc::clone(&certificates), prover, &metrics);
        let election =
            Election { cluster, identity, duration: options.lease, metrics: &metrics, certificates: &certificates };
        let lead =
            async || Leader::new(cluster, options, identity, &metrics, &certificates).lead(changes.clone()).await;
        tokio::join!(watch, replica.serve(changes.clone()), election.run(lead)).0
    }

    /// Gives up leadership, so that another replica takes over at once. Call it after [`Managed::run`] was dropped.
    pub async fn release(&self) {
        /// The process must not wait longer to exit. If this fails, another replica leads when the Lease expires.
        const PATIENCE: Duration = Duration::from_secs(2);
        drop(timeout(PATIENCE, election::release(&self.cluster, &self.identity)).await);
    }
}

/// Longest sleep. A jump of the clock, or a change that no watch reported, is noticed after this time at the latest.
const NAP: Duration = Duration::from_secs(30);

/// How long to sleep until `due`, given that the clock may jump.
fn nap(due: Timestamp, now: Timestamp) -> Duration {
    /// Prevents a busy loop when something is due and cannot be done.
    const LEAST: Duration = Duration::from_millis(10);
    Duration::try_from(due.duration_since(now)).unwrap_or_default().clamp(LEAST, NAP)
}

/// Sleeps; where `counts`, only until something `changes`.
async fn rest(time: Duration, changes: &mut watch::Receiver<()>, counts: bool) {
    let change = async {
        if !counts || changes.changed().await.is_err() {
            pending::<()>().await;
        }
    };
    drop(timeout(time, change).await);
}

/// Exponential backoff between attempts, with jitter.
#[derive(Default)]
struct Backoff(u32);

impl Backoff {
    fn reset(&mut self) {
        self.0 = 0;
    }

    fn attempts(&self) -> u32 {
        self.0
    }

    fn next(&mut self) -> Duration {
        const FIRST: Duration = Duration::from_millis(100);
        /// From 0.1 s to 25.6 s: with up to half of jitter still less than a minute.
        const DOUBLED: u32 = 8;
        let wait = FIRST * 2_u32.pow(self.0.min(DOUBLED));
        self.0 = self.0.saturating_add(1);
        wait + wait.mul_f64(fraction() / 2.0)
    }
}

/// A random number from 0 to 1, for the jitter that keeps replicas apart.
fn fraction() -> f64 {
    f64::from(u16::try_from(random() & 0xffff).unwrap_or_default()) / f64::from(u16::MAX)
}
