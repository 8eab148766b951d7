//! Leader election by a Lease, with the algorithm of client-go's leaderelection.
//!
//! It only avoids conflicts. Two leaders at once would do no harm: every write requires the resourceVersion that was read.
//!
//! Written by hand: `kube-leader-election` compares `renewTime` with the local clock and patches without a resourceVersion,
//! so with skewed clocks two replicas would take the Lease from each other.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::info;

use super::{
    CertificatesError,
    cluster::Cluster,
    error_chain,
    failure_log::FailureLog,
    fraction,
    metrics::{Failure, Metrics},
};
use crate::tls::Certificates;

/// Takes part in the election for as long as the process runs.
pub(super) struct Election<'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) identity: &'c str,
    /// How long a leader may fail to renew the Lease.
    pub(super) duration: Duration,
    pub(super) metrics: &'c Arc<Metrics>,
    pub(super) certificates: &'c Arc<Certificates>,
}

impl Election<'_> {
    /// Runs `lead` whenever this replica is the leader. Runs until dropped.
    pub(super) async fn run(&self, lead: impl AsyncFn() -> Infallible) -> Infallible {
        let mut failures = FailureLog::new(self.metrics, Some(self.certificates));
        loop {
            self.win(&mut failures).await;
            info!(identity = self.identity, "acquired leadership");
            self.metrics.set_leading(true);
            tokio::select! {
                never = lead() => match never {},
                () = self.keep(&mut failures) => {}
            }
            self.metrics.set_leading(false);
            info!(identity = self.identity, "lost leadership");
        }
    }

    /// Waits until the Lease is free or has expired, and acquires it.
    ///
    /// The clocks of replicas are never compared: a Lease has expired if this replica saw no write to it for its duration.
    async fn win(&self, failures: &mut FailureLog) {
        let mut seen: Option<(LeaseSpec, Instant)> = None;
        loop {
            match self.lease().await {
                Ok(lease) => {
                    let spec = lease.spec.clone().unwrap_or_default();
                    let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
                    let duration = Duration::from_secs(duration.unwrap_or_default());
                    let since = match &seen {
                        Some((last, since)) if *last == spec => *since,
                        _ => seen.insert((spec, Instant::now())).1,
                    };
                    let holder = holder(&lease);
                    if holder.is_empty() || holder == self.identity || since.elapsed() >= duration {
                        match self.write(lease, self.identity).await {
                            Ok(()) => return failures.succeeded(),
                            Err(error) if is_conflict(&error) => {}
                            Err(error) => failures.failed(Failure::Lease, error_chain(&error)),
                        }
                    } else {
                        failures.succeeded();
                    }
                }
                // Another replica has created it meanwhile.
                Err(error) if is_conflict(&error) => {}
                Err(error) => failures.failed(Failure::Lease, error_chain(&error)),
            }
            sleep(self.pause()).await;
        }
    }

    /// Renews the Lease until another replica holds it, or renewing has failed for two thirds of its duration. The last third
    /// is for writes that are still in flight.
    async fn keep(&self, failures: &mut FailureLog) {
        let mut deadline = Instant::now() + self.duration * 2 / 3;
        loop {
            sleep(self.pause()).await;
            let asked = Instant::now();
            let renewed = async {
                let lease = self.lease().await?;
                if holder(&lease) != self.identity {
                    return Ok(false);
                }
                self.write(lease, self.identity).await.map(|()| true)
            };
            match timeout_at(deadline, renewed).await {
                Ok(Ok(true)) => {
                    failures.succeeded();
                    deadline = asked + self.duration * 2 / 3;
                }
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => failures.failed(Failure::Lease, error_chain(&error)),
            }
        }
    }

    /// Reads the Lease, and creates it if it is missing: Argo CD applies no Leases.
    async fn lease(&self) -> Result<Lease, CertificatesError> {
        match self.cluster.lease().await? {
            Some(lease) => Ok(lease),
            None => self.cluster.create_lease().await,
        }
    }

    async fn write(&self, lease: Lease, identity: &str) -> Result<(), CertificatesError> {
        // The field has whole seconds, at least one.
        let seconds = i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX).max(1);
        write(self.cluster, lease, identity, seconds).await
    }

    /// A fifth of the duration, so that one lost response is harmless, minus jitter, so that replicas do not ask at once.
    fn pause(&self) -> Duration {
        let pause = self.duration / 5;
        pause.mul_f64(1.0 - fraction() / 4.0)
    }
}

/// Releases the Lease if this replica holds it.
pub(super) async fn release(cluster: &Cluster, identity: &str) -> Result<(), CertificatesError> {
    match cluster.lease().await? {
        Some(lease) if holder(&lease) == identity => write(cluster, lease, "", 1).await,
        _ => Ok(()),
    }
}

async fn write(cluster: &Cluster, lease: Lease, identity: &str, seconds: i32) -> Result<(), CertificatesError> {
    let now = MicroTime(Timestamp::now());
    let is_other = holder(&lease) != identity;
    let Lease { metadata, spec } = lease;
    let last = spec.unwrap_or_default();
    let spec = LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(seconds),
        acquire_time: last.acquire_time.clone().filter(|_| !is_other).or_else(|| Some(now.clone())),
        renew_time: Some(now),
        lease_transitions: Some(last.lease_transitions.unwrap_or_default().saturating_add(i32::from(is_other))),
        ..last
    };
    cluster.store_lease(&Lease { metadata, spec: Some(spec) }).await
}

/// The identity of the replica that holds the Lease; empty if none does.
fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

fn is_conflict(error: &CertificatesError) -> bool {
    matches!(error, CertificatesError::Refused { status, .. } if status.code == 409)
}
