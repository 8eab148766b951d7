//! When the validating webhook fails closed: not before it was seen to deny.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::info;

use super::{
    Backoff, CertificatesError,
    cluster::{Cluster, Live, Probe, Snapshot},
    report::{Failure, Report},
};
use crate::{
    metrics::{Metrics, Repair},
    rules::Phase,
};

/// Of one leader.
pub(super) struct Arming {
    metrics: Arc<Metrics>,
    /// Whether it was seen to be armed.
    was_armed: bool,
    backoff: Backoff,
    report: Report,
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
            report: Report::new(metrics),
        }
    }

    /// Makes the validating configuration fail closed, if that is `wanted`, a bad profile is denied, and it does not yet.
    ///
    /// # Errors
    ///
    /// [`CertificatesError`] where the API server cannot be asked, or refuses what is written.
    pub(super) async fn arm(
        &mut self,
        cluster: &Cluster,
        snapshot: &Snapshot,
        wanted: bool,
        due: Timestamp,
    ) -> Result<Arm, CertificatesError> {
        let validating = snapshot.live.iter().find(|live| live.phase == Phase::Validate && !live.webhooks.is_empty());
        let is_armed = |live: &Live| live.webhooks.iter().all(|webhook| webhook.is_armed);
        self.metrics.certificates.set_armed(validating.is_some_and(is_armed));
        let Some(live) = validating.filter(|live| wanted && !is_armed(live)) else {
            self.was_armed |= validating.is_some_and(is_armed);
            self.backoff.reset();
            return Ok(Arm::Waits(due));
        };

        let causes = match cluster.probe().await? {
            Probe::Denied(told) if is_own(&told, live) => None,
            Probe::Denied(told) | Probe::Refused(told) => Some(told),
            Probe::Passed => {
                Some("it is let through: by --audit or --effect, or as the webhook was not called".to_owned())
            }
        };
        if let Some(cause) = causes {
            self.wait_for(&cause);
            return Ok(Arm::Waits(due.min(Timestamp::now() + self.backoff.next())));
        }
        cluster.arm(live).await?;
        self.metrics.certificates.set_armed(true);
        self.report.went_well();
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

    /// Tells why it stays open, unless that is about to change: an API server hears of a new caBundle with some delay.
    fn wait_for(&mut self, cause: &str) {
        /// By then a dozen seconds have passed.
        const ATTEMPTS: u32 = 7;
        if self.backoff.attempts() >= ATTEMPTS {
            self.report.failed(Failure::Arming, format!("not armed: a bad profile is not denied: {cause}"));
        }
    }
}

/// Whether the denial is this webhook's, and for the reason for which the profile was made. It is the API server that says whose
/// it is, and first: what follows can be in anybody's words.
fn is_own(told: &str, live: &Live) -> bool {
    const RULE: &str = "[cluster-manager-label]";
    let denied = |name: &str| format!("admission webhook \"{name}\" denied the request: ");
    told.contains(RULE) && live.webhooks.iter().any(|webhook| told.starts_with(&denied(&webhook.name)))
}
