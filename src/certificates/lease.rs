//! Leader election by a Lease, with the algorithm of client-go's leaderelection.
//!
//! It only avoids conflicts. Two leaders at once would do no harm: every write requires the resourceVersion that was read.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::info;

use super::{
    CertificatesError,
    cluster::{Cluster, set, text},
    error_chain,
    failure_log::FailureLog,
    fraction,
};
use crate::metrics::{Failure, Metrics};

/// Takes part in the election for as long as the process runs.
pub(super) struct Election<'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) identity: &'c str,
    /// How long a leader may fail to renew the Lease.
    pub(super) duration: Duration,
    pub(super) metrics: &'c Arc<Metrics>,
}

impl Election<'_> {
    /// Runs `lead` whenever this replica is the leader. Runs until dropped.
    pub(super) async fn run(&self, lead: impl AsyncFn() -> Infallible) -> Infallible {
        let mut failures = FailureLog::new(self.metrics);
        loop {
            self.win(&mut failures).await;
            info!(identity = self.identity, "acquired leadership");
            self.metrics.certificates.set_leading(true);
            tokio::select! {
                never = lead() => match never {},
                () = self.keep(&mut failures) => {}
            }
            self.metrics.certificates.set_leading(false);
            info!(identity = self.identity, "lost leadership");
        }
    }

    /// Waits until the Lease is free or has expired, and acquires it.
    ///
    /// The clocks of replicas are never compared: a Lease has expired if this replica saw no write to it for its duration.
    async fn win(&self, failures: &mut FailureLog) {
        let mut seen: Option<(Value, Instant)> = None;
        loop {
            match self.cluster.lease().await {
                Ok(lease) => {
                    let spec = lease.data.get("spec").unwrap_or(&Value::Null);
                    let since = match &seen {
                        Some((last, since)) if last == spec => *since,
                        _ => seen.insert((spec.clone(), Instant::now())).1,
                    };
                    let holder = text(spec, "/holderIdentity");
                    let duration = Duration::from_secs(number(spec, "/leaseDurationSeconds"));
                    if holder.is_empty() || holder == self.identity || since.elapsed() >= duration {
                        match self.write(lease, self.identity).await {
                            Ok(()) => return failures.succeeded(),
                            Err(error) if is_conflict(&error) => {}
                            Err(error) => failures.failed(Failure::Lease, error_chain(&error)),
                        }
                    }
                }
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
                let lease = self.cluster.lease().await?;
                if text(&lease.data, "/spec/holderIdentity") != self.identity {
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

    async fn write(&self, lease: DynamicObject, identity: &str) -> Result<(), CertificatesError> {
        // The field has whole seconds.
        let seconds = self.duration.as_secs().max(1);
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
    let lease = cluster.lease().await?;
    if text(&lease.data, "/spec/holderIdentity") == identity { write(cluster, lease, "", 1).await } else { Ok(()) }
}

async fn write(
    cluster: &Cluster,
    mut lease: DynamicObject,
    identity: &str,
    seconds: u64,
) -> Result<(), CertificatesError> {
    let now = json!(format!("{:.6}", Timestamp::now()));
    let is_other = text(&lease.data, "/spec/holderIdentity") != identity;
    let transitions = number(&lease.data, "/spec/leaseTransitions") + u64::from(is_other);
    let acquired = lease.data.pointer("/spec/acquireTime").filter(|_| !is_other).unwrap_or(&now).clone();
    let spec = json!({
        "holderIdentity": identity,
        "leaseDurationSeconds": seconds,
        "acquireTime": acquired,
        "renewTime": now,
        "leaseTransitions": transitions,
    });
    set(&mut lease, "spec", spec);
    cluster.store_lease(&lease).await
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn is_conflict(error: &CertificatesError) -> bool {
    matches!(error, CertificatesError::Refused { status, .. } if status.code == 409)
}
