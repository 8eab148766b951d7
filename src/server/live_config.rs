//! On what terms reviews are served: they may be replaced meanwhile.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use tokio::time::sleep;

use crate::{
    review::{CrdInForce, Policy},
    server::{
        Limits,
        intake::{BodyBudget, buffers::KEPT, turns::Turns},
        timer::CoarseTimer,
    },
};

/// What an administrator chose for the rules, and the limits of the server.
pub struct LiveConfig {
    now: ArcSwap<Now>,
    timer: Arc<CoarseTimer>,
}

/// The terms that hold for what begins now.
pub(super) struct Now {
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) budget: Arc<BodyBudget>,
    pub(super) turns: Arc<Turns>,
}

impl LiveConfig {
    /// Terms from the start.
    #[must_use]
    pub fn new(policy: Policy, limits: Limits) -> Self {
        let timer = Arc::default();
        let budget = Arc::new(BodyBudget::new(limits, Arc::clone(&timer)));
        let turns = Arc::new(Turns::new(&limits));
        Self { now: ArcSwap::from_pointee(Now { policy, limits, budget, turns }), timer }
    }

    /// Terms from now on. What is known of the CRD in force stays.
    ///
    /// Bodies that are on their way end within the limits under which they began, so that for as long as they take, thirty
    /// seconds at the most, there may be as many bytes as before and as from now on together. Connections past the limit are
    /// closed when the next one comes; those that are open keep their times.
    pub fn replace(&self, policy: &Policy, limits: Limits) {
        self.now.rcu(|now| {
            let (budget, turns) = if limits == now.limits {
                (Arc::clone(&now.budget), Arc::clone(&now.turns))
            } else {
                (Arc::new(BodyBudget::new(limits, Arc::clone(&self.timer))), Arc::new(Turns::new(&limits)))
            };
            let mut policy = policy.clone();
            policy.set_crd(now.policy.crd().cloned());
            Now { policy, limits, budget, turns }
        });
    }

    /// What the CRD in force refuses, from now on; nothing where that is not known.
    pub fn set_crd(&self, crd: Option<&Arc<CrdInForce>>) {
        self.now.rcu(|now| {
            let Now { policy, limits, budget, turns } = &**now;
            let mut policy = policy.clone();
            policy.set_crd(crd.cloned());
            Now { policy, limits: *limits, budget: Arc::clone(budget), turns: Arc::clone(turns) }
        });
    }

    /// The limits that hold now.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.now.load().limits
    }

    /// What holds now; not to be kept while anything is waited for.
    pub(super) fn now(&self) -> Guard<Arc<Now>> {
        self.now.load()
    }

    /// The room for a body that begins now.
    pub(super) fn budget(&self) -> Arc<BodyBudget> {
        Arc::clone(&self.now.load().budget)
    }

    /// The turns of a review that begins now.
    pub(super) fn turns(&self) -> Arc<Turns> {
        Arc::clone(&self.now.load().turns)
    }

    /// Sees to it that waits end and memory is given back, for as long as it is polled.
    pub(super) async fn run(&self) {
        let tidy = async {
            loop {
                sleep(KEPT / 2).await;
                self.now().budget.tidy();
            }
        };
        tokio::join!(self.timer.run(), tidy);
    }
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self::new(Policy::default(), Limits::default())
    }
}

impl fmt::Debug for LiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.now();
        f.debug_struct("Terms").field("policy", &now.policy).field("limits", &now.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::LiveConfig;
    use crate::{
        crd,
        review::{CrdInForce, Policy},
        server::Limits,
    };

    #[test]
    fn configuration_and_crd_replace_neither_the_other() {
        let live = LiveConfig::default();
        let definition = serde_json::to_value(crd::crd()).unwrap();
        let crd = Arc::new(CrdInForce::read(definition).unwrap());
        let held = |live: &LiveConfig| (live.now().policy.audit(), live.now().policy.crd().is_some());
        live.set_crd(Some(&crd));
        let mut audit = Policy::default();
        audit.set_audit(true);
        live.replace(&audit, Limits::default());
        assert_eq!(held(&live), (true, true));
        live.set_crd(None);
        assert_eq!(held(&live), (true, false));
    }
}
