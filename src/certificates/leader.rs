//! What the one replica does that writes: it brings rotations on, publishes what is trusted, repairs and arms.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;
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
    nap,
    proof::ProofKey,
    rest,
    rotation::{self, Action},
    state::{Next, State},
};
use crate::metrics::{Failure, Metrics, Repair, Step};

/// A leader for as long as it is elected. It remembers nothing that the next one must know.
pub(super) struct Leader<'c> {
    cluster: &'c Cluster,
    options: &'c Options,
    identity: &'c str,
    metrics: &'c Arc<Metrics>,
    /// What was seen to sign and to be trusted.
    confirmed: Option<Certificate>,
    /// What every live configuration was seen to say, as it must.
    settled: Option<Bundle>,
    arming: Arming,
    failures: FailureLog,
}

/// How it goes on.
enum Progress {
    /// At once, with what is read anew.
    Acted,
    /// When something changes, or then.
    Waits(Timestamp),
}

impl<'c> Leader<'c> {
    pub(super) fn new(
        cluster: &'c Cluster,
        options: &'c Options,
        identity: &'c str,
        metrics: &'c Arc<Metrics>,
    ) -> Self {
        let (arming, failures) = (Arming::new(metrics), FailureLog::new(metrics));
        Self { cluster, options, identity, metrics, confirmed: None, settled: None, arming, failures }
    }

    /// Leads for as long as it is polled.
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
                    self.failures.went_well();
                    (nap(due, now), true)
                }
                Err((failure, error)) => {
                    // That nothing can be read, the replica in this process tells.
                    if failure == Failure::Read {
                        failure_log::count(self.metrics, failure, &error);
                    } else {
                        self.failures.failed(failure, error_chain(&error));
                    }
                    // Whether it is armed must not hold up a repair.
                    (backoff.next(), failure == Failure::Arming)
                }
            };
            rest(wait, &mut changes, hears).await;
        }
    }

    /// Does what is to be done next, if anything is.
    async fn advance(&mut self, now: Timestamp) -> Result<Progress, (Failure, CertificatesError)> {
        let snapshot = self.cluster.read().await.map_err(|error| (Failure::Read, error))?;
        let (mut state, unusable) = State::read(&snapshot.data());
        let is_told = !unusable.is_empty();
        for cause in unusable {
            self.failures.failed(Failure::Secret, cause);
        }
        // Stored with whatever is stored next.
        let has_key = state.proof_key.is_some();
        if !has_key {
            state.proof_key = Some(ProofKey::make().map_err(|error| (Failure::Write, error.into()))?);
        }
        let live = snapshot.bundles();
        let action = rotation::next(&state, &live, self.confirmed.as_ref(), now, self.options.lifetimes);
        let current = state.current.as_ref().map(|current| &current.certificate);
        // Not before another one is kept that was.
        let is_kept = !matches!(&action, Action::Store(_, None));
        if let Some(current) = current.filter(|current| is_kept && live.iter().any(|bundle| bundle.contains(current))) {
            self.confirmed = Some(current.clone());
        }
        let failed = |error| (Failure::Write, error);
        match action {
            Action::Make(mut next) => {
                if !is_told && next.current.is_none() && next.old != state.old {
                    let cause = "ca.crt is missing, has expired, or is none that was trusted; it is replaced";
                    self.failures.failed(Failure::Secret, cause.to_owned());
                }
                let lifetime = self.options.lifetimes.ca;
                let ca = Ca::make(now, lifetime).map_err(|error| failed(error.into()))?;
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
                // Without one that signs, nobody answers.
                return match (&state.current, &state.proof_key) {
                    (Some(_), Some(key)) => self.arm(&snapshot, key, due).await,
                    _ => Ok(Progress::Waits(due)),
                };
            }
        }
        Ok(Progress::Acted)
    }

    async fn store(&self, snapshot: &Snapshot, state: &State, step: Option<Step>) -> Result<(), CertificatesError> {
        self.cluster.store(&snapshot.secret, &state.write()).await?;
        if let Some(step) = step {
            self.metrics.certificates.count_step(step);
            info!(step = step.name(), "rotation of the authority");
            self.tell(step.reason(), step.note()).await;
        }
        Ok(())
    }

    async fn publish(&self, live: &Live, bundle: &Bundle) -> Result<(), CertificatesError> {
        if live.webhooks.iter().all(|webhook| webhook.bundle == *bundle) {
            return Ok(());
        }
        self.cluster.publish(live, bundle).await?;
        // Where it has said the same already, somebody has overwritten it.
        if self.settled.as_ref() == Some(bundle) {
            self.metrics.certificates.count_repair(Repair::CaBundle);
            info!(phase = live.phase.name(), "caBundle repaired");
        } else {
            info!(phase = live.phase.name(), "caBundle published");
        }
        Ok(())
    }

    /// Arms the validating configuration where that is wanted.
    async fn arm(
        &mut self,
        snapshot: &Snapshot,
        key: &ProofKey,
        due: Timestamp,
    ) -> Result<Progress, (Failure, CertificatesError)> {
        let key = Some(key).filter(|_| self.options.arming);
        match self.arming.arm(self.cluster, snapshot, key, due).await.map_err(|error| (Failure::Arming, error))? {
            Arm::Armed => {
                self.tell(
                    "Armed",
                    "this webhook denied a dry run: from now on, a write that it does not review is refused",
                )
                .await;
                Ok(Progress::Acted)
            }
            Arm::Repaired => Ok(Progress::Acted),
            Arm::Waits(due) => Ok(Progress::Waits(due)),
        }
    }

    /// Writes an Event; that it cannot holds up nothing for longer than an answer may take.
    async fn tell(&self, reason: &str, note: &str) {
        let event = json!({
            "eventTime": format!("{:.6}", Timestamp::now()),
            "reportingController": "clusterprofile-webhook",
            "reportingInstance": self.identity,
            "action": "ManageCertificates",
            "type": "Normal",
            "reason": reason,
            "note": note,
        });
        if let Err(error) = self.cluster.tell(&event).await {
            failure_log::count(self.metrics, Failure::Event, &error);
        }
    }
}

/// How fast one action may follow upon another: a quarrel with another writer must not become a load.
struct Pace {
    actions: u32,
    backoff: Backoff,
    /// When it is no quarrel any more, if nothing is done until then.
    calm: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { actions: 0, backoff: Backoff::default(), calm: now }
    }

    /// How long to wait after an action, if it was one too many.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        /// No rotation has more of them in a row.
        const ACTIONS: u32 = 10;
        /// Whoever takes longer to overwrite what was repaired makes no load.
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
    fn a_quarrel_is_slowed_down_until_there_is_a_pause() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..10 {
            assert_eq!(pace.wait(now), None);
            now += Duration::from_millis(900);
        }
        for least in [100, 200, 400, 800, 1600].map(Duration::from_millis) {
            let wait = pace.wait(now).expect("it is slowed down");
            assert!((least..=least * 3 / 2).contains(&wait), "{wait:?}");
            now += wait + Duration::from_millis(900);
        }
        now += Duration::from_millis(100);
        for _ in 0..100 {
            assert_eq!(pace.wait(now), None, "it was calm");
            now += Duration::from_secs(1);
        }
    }
}
