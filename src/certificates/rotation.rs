//! The steps of a CA rotation.
//!
//! Pure: a decision depends on the Secret, the live configurations, the clock, and the CA that this leader last saw both signing
//! and trusted. Another leader can continue at any step.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    bundle::Bundle,
    ca::Certificate,
    metrics::Step,
    state::{Next, Old, State},
};

/// Lifetimes of certificates, and the overlap of a rotation.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Lifetime of a leaf certificate.
    pub leaf: Duration,
    /// Lifetime of a CA.
    pub ca: Duration,
    /// How long a new CA must have been trusted before it signs. API servers learn of a new caBundle with a delay.
    pub overlap: Duration,
}

/// What the leader does next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Make a CA, and store it as the next one of this state, which has none.
    Make(State),
    /// Store this state. With a step, also count, log and emit that step.
    Store(State, Option<Step>),
    /// Write this bundle into every live configuration.
    Publish(Bundle),
    /// Wait until this time.
    Wait(Timestamp),
}

impl Step {
    /// The `reason` of the Event for this step.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Made => "AuthorityMade",
            Self::Trusted => "AuthorityTrusted",
            Self::Promoted => "AuthorityPromoted",
            Self::Removed => "AuthorityRemoved",
        }
    }

    /// The `note` of the Event for this step.
    pub(super) fn note(self) -> &'static str {
        match self {
            Self::Made => "made a new CA; next, the webhook configurations will trust it",
            Self::Trusted => "every webhook configuration trusts the new CA; it signs after --ca-overlap",
            Self::Promoted => "the new CA signs the serving certificates",
            Self::Removed => "removed an old CA from the caBundles: every certificate that it signed has expired",
        }
    }
}

/// Decides what happens next to the CAs of a webhook, from what the cluster holds now.
///
/// A leader makes one for each decision, asks it for the [`next`](Self::next) action, does that, and reads the cluster again. It
/// keeps nothing between two decisions, so another leader can continue at any step.
pub(super) struct Rotation<'a> {
    /// The `caBundle` of each live webhook configuration.
    pub(super) live: &'a [&'a Bundle],
    /// The CA that this leader last saw both signing and trusted. None in a leader that has just started.
    pub(super) confirmed: Option<&'a Certificate>,
    pub(super) now: Timestamp,
    pub(super) lifetimes: Lifetimes,
}

/// Most CAs adopted from live configurations. A rotation leaves fewer there; each adds about 800 bytes to the caBundle.
const ADOPTED: usize = 8;

impl Rotation<'_> {
    /// The next action for the CAs that the Secret holds.
    pub(super) fn next(&self, state: &State) -> Action {
        let has_ended = |old: &Old| old.until <= self.now || old.certificate.has_ended(self.now);
        if state.old.iter().any(has_ended) {
            let mut state = state.clone();
            state.old.retain(|old| !has_ended(old));
            return Action::Store(state, Some(Step::Removed));
        }

        let current = state.current.as_ref().map(|current| &current.certificate);
        let usable = current.filter(|current| !current.has_ended(self.now) && !self.is_foreign(current));
        let kept = match usable {
            Some(_) => self.with_signers(state.clone()),
            None => self.without_current(state.clone()),
        };
        if usable.is_none() && kept.next.is_none() {
            return Action::Make(kept);
        }
        if kept != *state {
            return Action::Store(kept, None);
        }
        match (&state.next, usable) {
            (Some(next), _) => self.continue_with(next, state),
            (None, Some(current)) if self.now < current.two_thirds() => self.maintain(state, current.two_thirds()),
            (None, _) => Action::Make(state.clone()),
        }
    }

    /// Continues a rotation: waits until every configuration trusts the next CA for the overlap, then promotes it.
    fn continue_with(&self, next: &Next, state: &State) -> Action {
        if next.ca.certificate.has_ended(self.now) {
            return Action::Store(State { next: None, ..state.clone() }, None);
        }
        let with_trust = |trusted_since, step| {
            let next = Some(Next { trusted_since, ..next.clone() });
            Action::Store(State { next, ..state.clone() }, step)
        };
        let is_trusted = self.live.iter().all(|bundle| bundle.contains(&next.ca.certificate));
        match next.trusted_since {
            // Another writer removed it from a bundle, or the clock was set back: the overlap starts again.
            Some(since) if !is_trusted || since > self.now => with_trust(None, None),
            Some(since) => {
                // Without an earlier CA no replica serves a leaf that another CA has signed, so there is nothing to wait for.
                let is_first = state.current.is_none() && state.old.is_empty();
                let until = if is_first { since } else { since + self.lifetimes.overlap };
                match self.maintain(state, until) {
                    Action::Wait(_) if until <= self.now => Action::Store(self.promoted(state), Some(Step::Promoted)),
                    action => action,
                }
            }
            None => match self.maintain(state, self.now) {
                Action::Wait(_) => with_trust(Some(self.now), Some(Step::Trusted)),
                publish => publish,
            },
        }
    }

    /// Repairs live bundles, or else waits until `due` or until an old CA is no longer needed.
    fn maintain(&self, state: &State, due: Timestamp) -> Action {
        let bundle = state.bundle();
        if self.live.iter().any(|live| **live != bundle) {
            return Action::Publish(bundle);
        }
        Action::Wait(state.old.iter().map(|old| old.until).fold(due, Timestamp::min))
    }

    /// Whether another writer put this CA into the Secret: one of this webhook signs only after it was trusted.
    ///
    /// A confirmed CA that no bundle contains was removed from the bundles, and is published again.
    fn is_foreign(&self, current: &Certificate) -> bool {
        let has_valid = |bundle: &Bundle| bundle.0.iter().any(|certificate| !certificate.has_ended(self.now));
        let trusts_others = self.live.iter().any(|bundle| has_valid(bundle));
        self.confirmed != Some(current) && trusts_others && !self.live.iter().any(|bundle| bundle.contains(current))
    }

    /// Keeps every CA trusted that may have signed a serving certificate, where the current CA is lost or foreign.
    fn without_current(&self, mut state: State) -> State {
        // With a confirmed CA, the lost one is either that CA, which is kept below, or foreign.
        if let Some(lost) = state.current.take().filter(|_| self.confirmed.is_none()) {
            self.keep(&mut state, &lost.certificate);
        }
        state = self.with_signers(state);
        for certificate in self.live.iter().flat_map(|bundle| &bundle.0) {
            if state.old.len() < ADOPTED {
                self.keep(&mut state, certificate);
            }
        }
        state
    }

    /// Keeps the CA trusted that signed the serving certificates, which may differ from the one in the Secret: an administrator
    /// may have restored an earlier Secret. Without a confirmed CA, the first of each bundle is taken for it.
    fn with_signers(&self, mut state: State) -> State {
        let first = self.live.iter().filter_map(|bundle| bundle.0.first()).filter(|_| self.confirmed.is_none());
        for certificate in first.chain(self.confirmed) {
            self.keep(&mut state, certificate);
        }
        state
    }

    /// Adds a CA to the old ones. Above the limit, the one that stopped signing first is dropped.
    fn keep(&self, state: &mut State, certificate: &Certificate) {
        if !certificate.has_ended(self.now) && !state.bundle().contains(certificate) {
            state.old.push(Old { certificate: certificate.clone(), until: self.last_leaf(certificate) });
            state.old.drain(..state.old.len().saturating_sub(ADOPTED));
        }
    }

    fn promoted(&self, state: &State) -> State {
        let State { current, next, mut old, proof_key } = state.clone();
        if let Some(certificate) = current.map(|current| current.certificate).filter(|ca| !ca.has_ended(self.now)) {
            old.push(Old { until: self.last_leaf(&certificate), certificate });
        }
        State { current: next.map(|next| next.ca), next: None, old, proof_key }
    }

    /// When the last leaf certificate expires that a CA has signed, if the CA signs nothing from now on.
    ///
    /// A replica signs with the CA that it has just read. The overlap covers that delay and differences between clocks.
    fn last_leaf(&self, certificate: &Certificate) -> Timestamp {
        certificate.not_after().min(self.now + self.lifetimes.leaf + self.lifetimes.overlap)
    }
}

#[cfg(test)]
mod tests;
