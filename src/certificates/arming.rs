//! Arming: sets failurePolicy of the validating webhook to Fail once this installation was seen to deny a bad profile.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tracing::info;

use self::cause::Cause;
use super::{
    Backoff, CertificatesError,
    cluster::{Cluster, Live, Probed, Snapshot},
    failure_log::FailureLog,
    metrics::{Failure, Metrics, Repair},
    proof::{self, ProofKey},
};

mod cause;

/// The arming loop of one leader.
pub(super) struct Arming {
    metrics: Arc<Metrics>,
    /// Whether this leader has seen it armed.
    was_armed: bool,
    backoff: Backoff,
    failures: FailureLog,
}

/// The result of an attempt to arm.
pub(super) enum Arm {
    /// Armed, for the first time that this leader knows of.
    Armed,
    /// Armed again, after another writer had reset failurePolicy.
    Repaired,
    /// Nothing was written. Try again at this time, or when something changes.
    Waits(Timestamp),
}

impl Arming {
    pub(super) fn new(metrics: &Arc<Metrics>, failures: FailureLog) -> Self {
        Self { metrics: Arc::clone(metrics), was_armed: false, backoff: Backoff::default(), failures }
    }

    /// Arms the validating configuration, if it is not armed and a bad profile is denied with a proof by `key`. Without a key,
    /// arming is off.
    ///
    /// An armed configuration stays armed without a new proof, since replicas of an older release give none.
    ///
    /// # Errors
    ///
    /// [`CertificatesError`] if the API server cannot be reached or refuses the write.
    pub(super) async fn arm(
        &mut self,
        cluster: &Cluster,
        snapshot: &Snapshot,
        key: Option<&ProofKey>,
        due: Timestamp,
    ) -> Result<Arm, CertificatesError> {
        let validating = snapshot.validating();
        let is_armed = |live: &Live| live.webhooks.iter().all(|webhook| webhook.is_armed);
        self.metrics.set_armed(validating.is_some_and(is_armed));
        let Some((key, live)) = key.zip(validating.filter(|live| !is_armed(live))) else {
            self.was_armed |= validating.is_some_and(is_armed);
            self.backoff.reset();
            return Ok(Arm::Waits(due));
        };

        let probe = proof::probe(&cluster.namespace, live.uid.as_deref().unwrap_or_default())?;
        let cause = match cluster.probe(&probe).await? {
            Probed::Accepted { warnings } => Some(Cause::accepted(&warnings)),
            Probed::Refused { warnings, .. } if key.is_proven(&probe, &warnings) => None,
            Probed::Refused { message, warnings } => Some(Cause::of(cluster, live, message, &warnings)),
        };
        if let Some(cause) = cause {
            return Ok(Arm::Waits(due.min(Timestamp::now() + self.wait_for(&cause))));
        }
        // Only this uid and version: the proof is not valid for another configuration.
        cluster.arm(live).await?;
        self.metrics.set_armed(true);
        self.failures.succeeded();
        self.backoff.reset();
        if self.was_armed {
            self.metrics.count_repair(Repair::FailurePolicy);
            info!("failurePolicy repaired");
            return Ok(Arm::Repaired);
        }
        self.was_armed = true;
        info!("armed: failurePolicy set to Fail");
        Ok(Arm::Armed)
    }

    /// Logs why it is not armed, after some attempts: an API server learns of a new caBundle with a delay.
    fn wait_for(&mut self, cause: &Cause) -> Duration {
        /// Takes about a dozen seconds.
        const ATTEMPTS: u32 = 7;
        /// Shorter, because no watch reports that a rolling update has replaced the replicas that give no proof.
        const LONGEST: Duration = Duration::from_secs(5);
        if self.backoff.attempts() >= ATTEMPTS {
            self.failures.failed(Failure::Arming, format!("not armed, failurePolicy stays Ignore: {cause}"));
        }
        let wait = self.backoff.next();
        if matches!(cause, Cause::Unproven { .. }) { wait.min(LONGEST) } else { wait }
    }
}
