//! When the validating webhook fails closed: not before its own installation was seen to deny.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tracing::info;

use self::cause::Cause;
use super::{
    Backoff, CertificatesError,
    cluster::{Cluster, Live, Probed, Snapshot},
    failure_log::FailureLog,
    proof::{self, ProofKey},
};
use crate::metrics::{Failure, Metrics, Repair};

mod cause;

/// Of one leader.
pub(super) struct Arming {
    metrics: Arc<Metrics>,
    /// Whether it was seen to be armed.
    was_armed: bool,
    backoff: Backoff,
    failures: FailureLog,
}

/// What became of it.
pub(super) enum Arm {
    /// It fails closed, for the first time that this leader knows of.
    Armed,
    /// It fails closed again.
    Repaired,
    /// Nothing was written; when to look again, if nothing changes before.
    Waits(Timestamp),
}

impl Arming {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            was_armed: false,
            backoff: Backoff::default(),
            failures: FailureLog::new(metrics),
        }
    }

    /// Makes the validating configuration fail closed, if it does not yet and a bad profile is denied with a proof by `key`;
    /// without a key, nothing is to be armed.
    ///
    /// One that fails closed stays so, whoever answers: replicas of an older release give no proof.
    ///
    /// # Errors
    ///
    /// [`CertificatesError`] where the API server cannot be asked, or refuses what is written.
    pub(super) async fn arm(
        &mut self,
        cluster: &Cluster,
        snapshot: &Snapshot,
        key: Option<&ProofKey>,
        due: Timestamp,
    ) -> Result<Arm, CertificatesError> {
        let validating = snapshot.validating();
        let is_armed = |live: &Live| live.webhooks.iter().all(|webhook| webhook.is_armed);
        self.metrics.certificates.set_armed(validating.is_some_and(is_armed));
        let Some((key, live)) = key.zip(validating.filter(|live| !is_armed(live))) else {
            self.was_armed |= validating.is_some_and(is_armed);
            self.backoff.reset();
            return Ok(Arm::Waits(due));
        };

        let probe = proof::probe(&cluster.namespace, live.uid.as_deref().unwrap_or_default())?;
        let cause = match cluster.probe(&probe).await? {
            Probed::Accepted => Some(Cause::Accepted),
            Probed::Refused { warnings, .. } if key.is_proven(&probe, &warnings) => None,
            Probed::Refused { message, warnings } => Some(Cause::of(cluster, live, message, &warnings)),
        };
        if let Some(cause) = cause {
            return Ok(Arm::Waits(due.min(Timestamp::now() + self.wait_for(&cause))));
        }
        // Of this uid and version alone: for another configuration nothing is proven.
        cluster.arm(live).await?;
        self.metrics.certificates.set_armed(true);
        self.failures.went_well();
        self.backoff.reset();
        if self.was_armed {
            self.metrics.certificates.count_repair(Repair::FailurePolicy);
            info!("failurePolicy repaired");
            return Ok(Arm::Repaired);
        }
        self.was_armed = true;
        info!("armed: what is not reviewed is refused");
        Ok(Arm::Armed)
    }

    /// Reports why it stays open, unless that is about to change: an API server learns of a new caBundle with some delay.
    fn wait_for(&mut self, cause: &Cause) -> Duration {
        /// By then a dozen seconds have passed.
        const ATTEMPTS: u32 = 7;
        /// While a rolling update replaces the replicas that give no proof, nothing else says that another one answers.
        const LONGEST: Duration = Duration::from_secs(5);
        if self.backoff.attempts() >= ATTEMPTS {
            self.failures.failed(Failure::Arming, format!("not armed: {cause}"));
        }
        let wait = self.backoff.next();
        if matches!(cause, Cause::Unproven { .. }) { wait.min(LONGEST) } else { wait }
    }
}
