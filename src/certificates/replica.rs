//! The leaf certificate of one replica: it signs the certificate in memory, serves it and renews it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Backoff, NAP,
    ca::{Ca, Certificate},
    cluster::{Cluster, Snapshot},
    error_chain,
    failure_log::FailureLog,
    fraction,
    metrics::{Failure, Metrics},
    nap,
    proof::Prover,
    rest,
    rotation::Lifetimes,
    state::State,
};
use crate::{
    review::Phase,
    tls::{self, Certificates, ExpiryWarning, Pair},
};

/// Keeps this replica's serving certificate valid and trusted. Its private key never leaves the process.
pub(super) struct Replica<'c> {
    cluster: &'c Cluster,
    lifetimes: Lifetimes,
    certificates: Arc<Certificates>,
    prover: &'c Prover,
    metrics: Arc<Metrics>,
    failures: FailureLog,
    leaf: Option<Leaf>,
    expiries: [ExpiryWarning; 2],
}

/// The serving certificate.
struct Leaf {
    /// The CA that signed it.
    ca: Certificate,
    /// When to sign the next one.
    due: Timestamp,
}

impl<'c> Replica<'c> {
    pub(super) fn new(
        cluster: &'c Cluster,
        lifetimes: Lifetimes,
        certificates: Arc<Certificates>,
        prover: &'c Prover,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let expiries = ["serving certificate", "CA certificate"].map(ExpiryWarning::new);
        let (failures, metrics) = (FailureLog::new(metrics, Some(&certificates)), Arc::clone(metrics));
        Self { cluster, lifetimes, certificates, prover, metrics, failures, leaf: None, expiries }
    }

    /// Serves a leaf certificate once it is trusted, and renews it after two thirds of its lifetime. Runs until dropped.
    pub(super) async fn serve(mut self, mut changes: watch::Receiver<()>) -> Infallible {
        let mut backoff = Backoff::default();
        loop {
            changes.mark_unchanged();
            let now = Timestamp::now();
            let (wait, hears) = match self.renew(now).await {
                Ok(due) => {
                    backoff.reset();
                    self.failures.succeeded();
                    (nap(due, now), true)
                }
                Err((failure, cause)) => {
                    self.failures.failed(failure, cause);
                    // A change of the Secret or a configuration can help, except where reading them failed.
                    (backoff.next(), failure != Failure::Read)
                }
            };
            self.expiries.iter_mut().for_each(|expiry| expiry.warn(now));
            rest(wait, &mut changes, hears).await;
        }
    }

    /// Signs and serves a new leaf certificate if one is due, and returns when the next one is due.
    async fn renew(&mut self, now: Timestamp) -> Result<Timestamp, (Failure, String)> {
        // Read before every signature: the CA may have been replaced.
        let snapshot = self.cluster.read().await.map_err(|error| (Failure::Read, error_chain(&error)))?;
        self.show_trust(&snapshot, now);
        let (state, unusable) = State::read(&snapshot.data());
        let uid = snapshot.validating().and_then(|live| live.uid.as_deref());
        self.prover.learn(state.proof_key.as_ref(), uid);
        let current = state.current.as_ref().filter(|current| !current.certificate.has_ended(now));
        if let Some(leaf) = self.leaf.as_ref().filter(|leaf| !leaf.is_due(current, now)) {
            return Ok(leaf.due);
        }
        let Some(current) = current else {
            let cause = unusable.into_iter().next();
            let cause = cause.or_else(|| state.current.map(|_| "ca.crt has expired".to_owned()));
            return match cause {
                Some(cause) => Err((Failure::Secret, cause)),
                None if self.leaf.is_some() => Err((Failure::Secret, "ca.crt is missing".to_owned())),
                // The leader is making the first CA.
                None => Ok(now + NAP),
            };
        };

        let signed = current.sign(&self.names(), now, self.lifetimes.leaf);
        let pair = signed.map_err(|error| (Failure::Secret, error_chain(&error)))?;
        if !snapshot.bundles().iter().all(|bundle| bundle.accepts(&pair, &self.server_name(), now)) {
            return Err((Failure::Trust, "a webhook configuration does not trust ca.crt".into()));
        }
        let lifetime = Duration::from_secs(pair.expiry().saturating_sub(now.as_second()).unsigned_abs());
        let leaf = Leaf::new(current, now, lifetime);
        let due = leaf.due;
        tls::replace(pair, &self.certificates, &self.metrics.reloads);
        let [leaf_expiry, ca_expiry] = &mut self.expiries;
        leaf_expiry.set(now + lifetime, lifetime);
        ca_expiry.set(leaf.ca.not_after(), leaf.ca.lifetime());
        self.metrics.set_ca_expiry(leaf.ca.not_after().as_second());
        self.leaf = Some(leaf);
        self.show_trust(&snapshot, now);
        Ok(due)
    }

    /// Sets the metric that shows whether each configuration trusts the serving certificate.
    fn show_trust(&self, snapshot: &Snapshot, now: Timestamp) {
        let (name, pair) = (self.server_name(), self.certificates.current());
        for phase in [Phase::Mutate, Phase::Validate] {
            let live = snapshot.live.iter().filter(|live| live.phase == phase);
            let bundles: Vec<_> = live.flat_map(|live| &live.webhooks).map(|webhook| &webhook.bundle).collect();
            let accepts = |pair: Arc<Pair>| bundles.iter().all(|bundle| bundle.accepts(&pair, &name, now));
            self.metrics.set_trusted(phase, !bundles.is_empty() && pair.clone().is_some_and(accepts));
        }
    }

    /// The DNS name by which the API server calls the webhook.
    fn server_name(&self) -> String {
        format!("{}.{}.svc", self.cluster.names.service, self.cluster.namespace)
    }

    fn names(&self) -> [String; 4] {
        let (service, full) = (&self.cluster.names.service, self.server_name());
        let local = format!("{full}.cluster.local");
        [full, format!("{service}.{}", self.cluster.namespace), service.clone(), local]
    }
}

impl Leaf {
    fn new(ca: &Ca, now: Timestamp, lifetime: Duration) -> Self {
        /// The part of the lifetime after which to renew, and how much less of it at random, so that replicas take turns.
        const SPENT: f64 = 2.0 / 3.0;
        const JITTER: f64 = 1.0 / 15.0;
        let due = now + lifetime.mul_f64(SPENT - fraction() * JITTER);
        Self { ca: ca.certificate.clone(), due }
    }

    /// Whether to sign a new one: at its time, or when `current` is another CA.
    fn is_due(&self, current: Option<&Ca>, now: Timestamp) -> bool {
        now >= self.due || current.is_some_and(|current| current.certificate != self.ca)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::Leaf;
    use crate::certificates::{NAP, ca::Ca, nap};

    #[test]
    fn a_leaf_is_renewed_after_two_thirds_of_its_lifetime_or_at_once_after_a_jump_of_the_clock() {
        const DAY: Duration = Duration::from_hours(24);
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let [ca, other] = [(); 2].map(|()| Ca::make(now, 365 * DAY).unwrap());
        for _ in 0..100 {
            let leaf = Leaf::new(&ca, now, 30 * DAY);
            assert!(!leaf.is_due(Some(&ca), now + 17 * DAY));
            assert!(leaf.is_due(Some(&ca), now + 20 * DAY), "jitter only shortens");
        }
        let leaf = Leaf::new(&ca, now, 7 * DAY);
        assert!(!leaf.is_due(Some(&ca), now) && !leaf.is_due(None, now));
        assert!(leaf.is_due(Some(&other), now), "another CA signs");
        let jumped = now + 31 * DAY;
        assert!(leaf.is_due(Some(&ca), jumped) && leaf.is_due(None, jumped));
        assert_eq!(nap(leaf.due, now), NAP, "the clock is read again before");
        assert!(nap(leaf.due, jumped) < Duration::from_secs(1));
    }
}
