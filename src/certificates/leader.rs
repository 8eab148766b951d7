//! What the leader does: it rotates the CA, publishes caBundles, repairs them, and arms the validating webhook.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};
use tracing::info;

use super::{
    Backoff, CertificatesError, NAP, Options,
    arming::{Arm, Arming},
    bundle::Bundle,
    ca::{Ca, Certificate},
    cluster::{Cluster, Live, Snapshot},
    error_chain,
    failure_log::{self, FailureLog},
    metrics::{Failure, Metrics, Repair, Step},
    nap,
    proof::ProofKey,
    rest,
    rotation::{Action, Rotation},
    state::{Next, State},
};
use crate::tls::Certificates;

/// The loop of a replica while it is the leader. It keeps no state that its successor needs.
pub(super) struct Leader<'c> {
    cluster: &'c Cluster,
    options: &'c Options,
    identity: &'c str,
    metrics: &'c Arc<Metrics>,
    /// The CA last seen both signing and trusted.
    confirmed: Option<Certificate>,
    /// The bundle that every live configuration was last seen to have, as it should.
    settled: Option<Bundle>,
    arming: Arming,
    failures: FailureLog,
}

/// What to do after a step of the loop.
enum Progress {
    /// Read the cluster again at once.
    Acted,
    /// Wait until this time, or until something changes.
    Waits(Timestamp),
}

impl<'c> Leader<'c> {
    pub(super) fn new(
        cluster: &'c Cluster,
        options: &'c Options,
        identity: &'c str,
        metrics: &'c Arc<Metrics>,
        certificates: &Arc<Certificates>,
    ) -> Self {
        let arming = Arming::new(metrics, FailureLog::new(metrics, None));
        let failures = FailureLog::new(metrics, Some(certificates));
        Self { cluster, options, identity, metrics, confirmed: None, settled: None, arming, failures }
    }

    /// Runs until dropped.
    pub(super) async fn lead(mut self, mut changes: watch::Receiver<()>) -> Infallible {
        let (mut backoff, mut pace) = (Backoff::default(), Pace::new(Instant::now()));
        loop {
            changes.mark_unchanged();
            let now = Timestamp::now();
            let (wait, hears) = match self.advance(now).await {
                Ok(Progress::Acted) => match pace.wait(Instant::now()) {
                    None => continue,
                    Some(wait) => (wait, false),
                },
                Ok(Progress::Waits(due)) => {
                    backoff.reset();
                    self.failures.succeeded();
                    (nap(due, now), true)
                }
                Err((failure, error)) => {
                    // The replica in this process already logs failures to read.
                    if failure == Failure::Read {
                        failure_log::count(self.metrics, failure, &error);
                    } else {
                        self.failures.failed(failure, error_chain(&error));
                    }
                    // A failure to arm must not delay a repair.
                    (backoff.next(), failure == Failure::Arming)
                }
            };
            rest(wait, &mut changes, hears).await;
        }
    }

    /// Does the next step, if one is due.
    async fn advance(&mut self, now: Timestamp) -> Result<Progress, (Failure, CertificatesError)> {
        let snapshot = self.cluster.read().await.map_err(|error| (Failure::Read, error))?;
        let (mut state, unusable) = State::read(&snapshot.data());
        let is_reported = !unusable.is_empty();
        for cause in unusable {
            self.failures.failed(Failure::Secret, cause);
        }
        // Stored with the next state that is stored.
        let has_key = state.proof_key.is_some();
        if !has_key {
            state.proof_key = Some(ProofKey::make().map_err(|error| (Failure::Write, error.into()))?);
        }
        let live = snapshot.bundles();
        let lifetimes = self.options.lifetimes;
        let action = Rotation { live: &live, confirmed: self.confirmed.as_ref(), now, lifetimes }.next(&state);
        let current = state.current.as_ref().map(|current| &current.certificate);
        // Only once the CA that was confirmed before is stored among the old ones.
        let is_kept = !matches!(&action, Action::Store(_, None));
        if let Some(current) = current.filter(|current| is_kept && live.iter().any(|bundle| bundle.contains(current))) {
            self.confirmed = Some(current.clone());
        }
        let failed = |error| (Failure::Write, error);
        match action {
            Action::Make(mut next) => {
                if !is_reported && next.current.is_none() && next.old != state.old {
                    let cause = "ca.crt is missing, has expired or was never trusted; making a new CA";
                    self.failures.failed(Failure::Secret, cause.to_owned());
                }
                let ca = Ca::make(now, lifetimes.ca).map_err(|error| failed(error.into()))?;
                next.next = Some(Next { ca, trusted_since: None });
                self.store(&snapshot, &next, Some(Step::Made)).await.map_err(failed)?;
            }
            Action::Store(state, step) => self.store(&snapshot, &state, step).await.map_err(failed)?,
            Action::Publish(bundle) => {
                for live in &snapshot.live {
                    self.publish(live, &bundle).await.map_err(failed)?;
                }
            }
            Action::Wait(_) if !has_key => self.store(&snapshot, &state, None).await.map_err(failed)?,
            Action::Wait(due) => {
                self.settled = Some(state.bundle());
                let due = due.min(now + NAP);
                // Without a CA that signs, no replica can answer a probe.
                return match (&state.current, &state.proof_key) {
                    (Some(_), Some(key)) => self.arm(&snapshot, key, due).await,
                    _ => Ok(Progress::Waits(due)),
                };
            }
        }
        Ok(Progress::Acted)
    }

    async fn store(&self, snapshot: &Snapshot, state: &State, step: Option<Step>) -> Result<(), CertificatesError> {
        self.cluster.store(snapshot.secret.as_ref(), state.write()).await?;
        if let Some(step) = step {
            self.metrics.count_step(step);
            info!(step = step.name(), "CA rotation step done");
            self.emit(step.reason(), step.note()).await;
        }
        Ok(())
    }

    async fn publish(&self, live: &Live, bundle: &Bundle) -> Result<(), CertificatesError> {
        if live.webhooks.iter().all(|webhook| webhook.bundle == *bundle) {
            return Ok(());
        }
        self.cluster.publish(live, bundle).await?;
        // If it had this bundle before, another writer has overwritten it.
        if self.settled.as_ref() == Some(bundle) {
            self.metrics.count_repair(Repair::CaBundle);
            info!(phase = live.phase.name(), "caBundle repaired");
        } else {
            info!(phase = live.phase.name(), "caBundle published");
        }
        Ok(())
    }

    /// Arms the validating configuration, if arming is on.
    async fn arm(
        &mut self,
        snapshot: &Snapshot,
        key: &ProofKey,
        due: Timestamp,
    ) -> Result<Progress, (Failure, CertificatesError)> {
        let key = Some(key).filter(|_| self.options.arming);
        match self.arming.arm(self.cluster, snapshot, key, due).await.map_err(|error| (Failure::Arming, error))? {
            Arm::Armed => {
                self.emit(
                    "Armed",
                    "the webhook denied the arming probe; failurePolicy is now Fail, so a write that it cannot review is refused",
                )
                .await;
                Ok(Progress::Acted)
            }
            Arm::Repaired => Ok(Progress::Acted),
            Arm::Waits(due) => Ok(Progress::Waits(due)),
        }
    }

    /// Emits an Event. A failure is only counted.
    async fn emit(&self, reason: &str, note: &str) {
        if let Err(error) = self.cluster.emit(self.identity, reason, note).await {
            failure_log::count(self.metrics, Failure::Event, &error);
        }
    }
}

/// Limits the rate of actions, so that a conflict with another writer does not load the API server.
struct Pace {
    actions: u32,
    backoff: Backoff,
    /// When the conflict counts as over, if no action happens before.
    calm: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { actions: 0, backoff: Backoff::default(), calm: now }
    }

    /// How long to wait after an action. None while actions are few.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        /// More in a row than any rotation has.
        const ACTIONS: u32 = 10;
        /// A writer that overwrites less often than this is no load.
        const PAUSE: Duration = Duration::from_secs(1);
        if now >= self.calm {
            *self = Self::new(now);
        }
        self.actions = self.actions.saturating_add(1);
        let wait = (self.actions > ACTIONS).then(|| self.backoff.next());
        self.calm = now + wait.unwrap_or_default() + PAUSE;
        wait
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Pace;

    #[test]
    fn actions_in_a_row_are_slowed_down_until_a_pause() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..10 {
            assert_eq!(pace.wait(now), None);
            now += Duration::from_millis(900);
        }
        for least in [100, 200, 400, 800, 1600].map(Duration::from_millis) {
            let wait = pace.wait(now).expect("more than ten actions in a row");
            assert!((least..=least * 3 / 2).contains(&wait), "{wait:?}");
            now += wait + Duration::from_millis(900);
        }
        now += Duration::from_millis(100);
        for _ in 0..100 {
            assert_eq!(pace.wait(now), None, "there was a pause before");
            now += Duration::from_secs(1);
        }
    }
}
