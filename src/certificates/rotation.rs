//! What a rotation wants next. Pure: whoever leads goes on from the Secret and the live configurations alone.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    bundle::Bundle,
    ca::Certificate,
    state::{Next, Old, State},
};
use crate::metrics::Step;

/// How long things are valid, and wait.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Of what a replica serves.
    pub leaf: Duration,
    /// Of an authority.
    pub ca: Duration,
    /// How long a new authority must have been trusted until it signs: API servers hear of a new caBundle with some delay.
    pub overlap: Duration,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Make an authority, and store it as the next one of this state, which has none.
    Make(State),
    /// Store this state, which is a step of a rotation, or none that anybody needs to hear of.
    Store(State, Option<Step>),
    /// Make every live configuration say this.
    Publish(Bundle),
    /// Nothing, until then.
    Wait(Timestamp),
}

impl Step {
    /// The reason of its Event.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Made => "AuthorityMade",
            Self::Trusted => "AuthorityTrusted",
            Self::Promoted => "AuthorityPromoted",
            Self::Removed => "AuthorityRemoved",
        }
    }

    /// The note of its Event.
    pub(super) fn note(self) -> &'static str {
        match self {
            Self::Made => "a new authority is about to be trusted",
            Self::Trusted => "the webhook configurations trust the new authority, which signs after --ca-overlap",
            Self::Promoted => "the new authority signs what is served",
            Self::Removed => "an authority is trusted no more, for nothing that it has signed is valid",
        }
    }
}

/// The next action, where `live` configurations say this.
///
/// `confirmed` is the certificate of the authority that was seen to sign and to be trusted last, by whoever asks.
pub(super) fn next(
    state: &State,
    live: &[&Bundle],
    confirmed: Option<&Certificate>,
    now: Timestamp,
    lifetimes: Lifetimes,
) -> Action {
    let has_ended = |old: &Old| old.until <= now || old.certificate.has_ended(now);
    if state.old.iter().any(has_ended) {
        let mut state = state.clone();
        state.old.retain(|old| !has_ended(old));
        return Action::Store(state, Some(Step::Removed));
    }

    let current = state.current.as_ref().map(|current| &current.certificate);
    let usable = current.filter(|current| !current.has_ended(now) && !is_foreign(current, live, confirmed, now));
    let kept = match usable {
        Some(_) => with_signers(state.clone(), live, confirmed, now, lifetimes),
        None => without_current(state.clone(), live, confirmed, now, lifetimes),
    };
    if usable.is_none() && kept.next.is_none() {
        return Action::Make(kept);
    }
    if kept != *state {
        return Action::Store(kept, None);
    }
    match (&state.next, usable) {
        (Some(next), _) => go_on(state, next, live, now, lifetimes),
        (None, Some(current)) if now < current.two_thirds() => maintain(state, live, current.two_thirds()),
        (None, _) => Action::Make(state.clone()),
    }
}

/// Brings the next authority to its place.
fn go_on(state: &State, next: &Next, live: &[&Bundle], now: Timestamp, lifetimes: Lifetimes) -> Action {
    if next.ca.certificate.has_ended(now) {
        return Action::Store(State { next: None, ..state.clone() }, None);
    }
    let with_trust = |trusted_since, step| {
        let next = Some(Next { trusted_since, ..next.clone() });
        Action::Store(State { next, ..state.clone() }, step)
    };
    let is_trusted = live.iter().all(|bundle| bundle.contains(&next.ca.certificate));
    match next.trusted_since {
        // Somebody took it out, or the clock was set back: waiting begins anew.
        Some(since) if !is_trusted || since > now => with_trust(None, None),
        Some(since) => {
            // Where nothing is served that another has signed, nobody is to be waited for.
            let is_first = state.current.is_none() && state.old.is_empty();
            let until = if is_first { since } else { since + lifetimes.overlap };
            match maintain(state, live, until) {
                Action::Wait(_) if until <= now => Action::Store(promoted(state, now, lifetimes), Some(Step::Promoted)),
                action => action,
            }
        }
        None => match maintain(state, live, now) {
            Action::Wait(_) => with_trust(Some(now), Some(Step::Trusted)),
            publish => publish,
        },
    }
}

/// Repairs what live configurations say, else waits for `due` or until an old authority has ended.
fn maintain(state: &State, live: &[&Bundle], due: Timestamp) -> Action {
    let bundle = state.bundle();
    if live.iter().any(|live| **live != bundle) {
        return Action::Publish(bundle);
    }
    Action::Wait(state.old.iter().map(|old| old.until).fold(due, Timestamp::min))
}

/// Whether somebody else has put it there: an authority signs only after it was trusted.
///
/// One that was confirmed was taken out of the configurations, and comes back.
fn is_foreign(current: &Certificate, live: &[&Bundle], confirmed: Option<&Certificate>, now: Timestamp) -> bool {
    let trusts_others = live.iter().any(|bundle| bundle.0.iter().any(|certificate| !certificate.has_ended(now)));
    confirmed != Some(current) && trusts_others && !live.iter().any(|bundle| bundle.contains(current))
}

/// Most authorities that are taken over from live configurations, which is more than any rotation leaves there: each makes
/// the caBundle longer, by about 800 bytes.
const ADOPTED: usize = 8;

/// All that is trusted now stays so for as long as something may be served that it has signed.
fn without_current(
    mut state: State,
    live: &[&Bundle],
    confirmed: Option<&Certificate>,
    now: Timestamp,
    lifetimes: Lifetimes,
) -> State {
    // To whoever remembers what was trusted, the one that is lost is that or foreign.
    if let Some(lost) = state.current.take().filter(|_| confirmed.is_none()) {
        keep(&mut state, &lost.certificate, now, lifetimes);
    }
    state = with_signers(state, live, confirmed, now, lifetimes);
    for certificate in live.iter().flat_map(|bundle| &bundle.0) {
        if state.old.len() < ADOPTED {
            keep(&mut state, certificate, now, lifetimes);
        }
    }
    state
}

/// What is served may be signed by another one than the Secret names: somebody may have put an earlier one back, or one that is
/// trusted besides. To whoever remembers none, it is the one that a bundle begins with.
fn with_signers(
    mut state: State,
    live: &[&Bundle],
    confirmed: Option<&Certificate>,
    now: Timestamp,
    lifetimes: Lifetimes,
) -> State {
    let first = live.iter().filter_map(|bundle| bundle.0.first()).filter(|_| confirmed.is_none());
    for certificate in first.chain(confirmed) {
        keep(&mut state, certificate, now, lifetimes);
    }
    state
}

/// Goes on trusting one that may have signed what is served; where there are too many, the first has not for the longest time.
fn keep(state: &mut State, certificate: &Certificate, now: Timestamp, lifetimes: Lifetimes) {
    if !certificate.has_ended(now) && !state.bundle().contains(certificate) {
        state.old.push(Old { certificate: certificate.clone(), until: last_leaf(certificate, now, lifetimes) });
        state.old.drain(..state.old.len().saturating_sub(ADOPTED));
    }
}

fn promoted(state: &State, now: Timestamp, lifetimes: Lifetimes) -> State {
    let State { current, next, mut old, proof_key } = state.clone();
    if let Some(certificate) = current.map(|current| current.certificate).filter(|current| !current.has_ended(now)) {
        old.push(Old { until: last_leaf(&certificate, now, lifetimes), certificate });
    }
    State { current: next.map(|next| next.ca), next: None, old, proof_key }
}

/// When the last is invalid that an authority has signed which signs no more from now on.
///
/// A replica signs with what it has just read. The overlap covers what happens between, and that clocks differ.
fn last_leaf(certificate: &Certificate, now: Timestamp, lifetimes: Lifetimes) -> Timestamp {
    certificate.not_after().min(now + lifetimes.leaf + lifetimes.overlap)
}

#[cfg(test)]
mod tests;
