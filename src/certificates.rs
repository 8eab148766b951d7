//! Self-managed certificates: an authority in a Secret, a leaf in each replica's memory, and who is told to trust them.
//!
//! ```text
//! Secret ── authorities ─► replica: signs a leaf, serves it once every live configuration vouches for it
//!    ▲                                                  ▲
//!    └── leader, by Lease: step::next ─► make, store, publish caBundle; then arms
//! ```
//!
//! [`Managed::run`] holds up nobody: while the API server is away, what is served stays.

use std::{
    convert::Infallible,
    future::pending,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use kube::core::Status;
use thiserror::Error;
use tokio::{sync::watch, time::timeout};

use self::{cluster::Cluster, leader::Leader, lease::Election, replica::Replica};
pub use self::{proof::Prover, rotation::Lifetimes};
use crate::{
    error::error_chain,
    files,
    kube::client::AccessError,
    metrics::{Failure, Metrics},
    tls::Certificates,
};

mod arming;
mod bundle;
mod ca;
mod cluster;
mod failure_log;
mod leader;
mod lease;
mod proof;
mod replica;
mod rotation;
mod state;

/// Why certificates cannot be managed, or one attempt at it has failed.
#[derive(Debug, Error)]
pub enum CertificatesError {
    /// There is no way to the API server.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The API server has refused.
    #[error("cannot {operation}: {message}", message = status.message)]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// The answer.
        status: Box<Status>,
    },
    /// There was no answer to be had.
    #[error("cannot {operation}")]
    Request {
        /// What was asked.
        operation: &'static str,
        /// The cause.
        source: kube::Error,
    },
    /// No answer has come in time.
    #[error("cannot {operation}: no answer in time")]
    Timeout {
        /// What was asked.
        operation: &'static str,
    },
    /// The crypto library has no random numbers.
    #[error("cannot make random numbers")]
    Random(#[from] aws_lc_rs::error::Unspecified),
    /// The crypto library makes no authority.
    #[error("cannot make an authority")]
    Make(#[from] rcgen::Error),
}

/// What of the cluster belongs to the webhook.
#[derive(Clone, Debug)]
pub struct Names {
    /// The Service, whose names are in every leaf.
    pub service: String,
    /// Where Service, Secret and Lease are; none for that of the service account, or of the kubeconfig's context.
    pub namespace: Option<String>,
    /// The Secret with the authorities.
    pub secret: String,
    /// The Lease that elects who writes.
    pub lease: String,
    /// The webhook configurations, mutating and validating.
    pub configuration: String,
}

/// How certificates are managed.
#[derive(Clone, Debug)]
pub struct Options {
    /// What belongs to the webhook.
    pub names: Names,
    /// How long things are valid.
    pub lifetimes: Lifetimes,
    /// How long who writes may be silent until another does.
    pub lease: Duration,
    /// Whether the validating webhook is to fail closed once it was seen to deny.
    pub arming: bool,
}

/// The certificates of a webhook, managed by its replicas.
#[derive(Debug)]
pub struct Managed {
    cluster: Cluster,
    options: Options,
    /// Who this replica is, unlike every other that ever was.
    identity: String,
    prover: Arc<Prover>,
}

impl Managed {
    /// Finds the way to the API server, without asking it anything.
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

    /// What must answer the leader's probes, in this replica as in every other.
    #[must_use]
    pub fn prover(&self) -> Arc<Prover> {
        Arc::clone(&self.prover)
    }

    /// Serves leaves by `certificates`, and leads where it is elected, for as long as it is polled.
    pub async fn run(&self, certificates: Arc<Certificates>, metrics: Arc<Metrics>) -> Infallible {
        let Self { cluster, options, identity, prover } = self;
        let (sender, changes) = watch::channel(());
        let watch = cluster.watch(&sender, |error| failure_log::count(&metrics, Failure::Watch, error));
        let replica = Replica::new(cluster, options.lifetimes, certificates, prover, &metrics);
        let election = Election { cluster, identity, duration: options.lease, metrics: &metrics };
        let lead = async || Leader::new(cluster, options, identity, &metrics).lead(changes.clone()).await;
        tokio::join!(watch, replica.serve(changes.clone()), election.run(lead)).0
    }

    /// Lets another lead at once, if this one does. To be called once [`Managed::run`] is polled no more.
    pub async fn release(&self) {
        /// Nobody is held up by the end of a process; without this, another leads when the Lease has run out.
        const PATIENCE: Duration = Duration::from_secs(2);
        drop(timeout(PATIENCE, lease::release(&self.cluster, &self.identity)).await);
    }
}

/// How long whoever waits for something sleeps at the most: by so much a jump of the clock, or a change that no watch has
/// told, is noticed late.
const NAP: Duration = Duration::from_secs(30);

/// How long to sleep until it is `due`, by a clock that may jump meanwhile.
fn nap(due: Timestamp, now: Timestamp) -> Duration {
    /// Not less, for whoever is due and can do nothing about it.
    const LEAST: Duration = Duration::from_millis(10);
    Duration::try_from(due.duration_since(now)).unwrap_or_default().clamp(LEAST, NAP)
}

/// Sleeps, or until something `changes`, where that `counts`.
async fn rest(time: Duration, changes: &mut watch::Receiver<()>, counts: bool) {
    let change = async {
        if !counts || changes.changed().await.is_err() {
            pending::<()>().await;
        }
    };
    drop(timeout(time, change).await);
}

/// Waits between attempts: each longer than the one before, and none as long as another's.
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
        /// From 0.1 s to 25.6 s, so that not even half more is longer than a minute.
        const DOUBLED: u32 = 8;
        let wait = FIRST * 2_u32.pow(self.0.min(DOUBLED));
        self.0 = self.0.saturating_add(1);
        wait + wait.mul_f64(fraction() / 2.0)
    }
}

/// A random number from 0 to 1, for what replicas must not do all at once.
fn fraction() -> f64 {
    f64::from(u16::try_from(random() & 0xffff).unwrap_or_default()) / f64::from(u16::MAX)
}

/// Of the standard library's random keys for maps: nothing is kept secret with it.
fn random() -> u64 {
    RandomState::new().hash_one(())
}
