//! The configuration that can change while the server runs.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};

use crate::{
    review::{CrdInForce, Policy},
    server::{
        Limits,
        intake::{BodyBudget, turns::Turns},
        timer::CoarseTimer,
    },
};

/// The policy and the limits in force. Requests read them when they start; a reload replaces them.
pub struct LiveConfig {
    now: ArcSwap<Now>,
    timer: Arc<CoarseTimer>,
}

/// The configuration for requests that start now.
pub(super) struct Now {
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) budget: Arc<BodyBudget>,
    pub(super) turns: Arc<Turns>,
}

impl LiveConfig {
    /// The configuration at start. The CRD in force is unknown.
    #[must_use]
    pub fn new(policy: Policy, limits: Limits) -> Self {
        let timer = Arc::default();
        let budget = Arc::new(BodyBudget::new(limits, Arc::clone(&timer)));
        let turns = Arc::new(Turns::new(&limits));
        Self { now: ArcSwap::from_pointee(Now { policy, limits, budget, turns }), timer }
    }

    /// Replaces policy and limits. The CRD in force stays.
    ///
    /// Bodies being received keep the budget under which they started. So for at most 30 seconds the old and the new budget can
    /// be in use together. Connections above a lower limit are evicted when the next one arrives; open ones keep their timeouts.
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

    /// Sets the CRD in force. None if it is unknown.
    pub fn set_crd(&self, crd: Option<&Arc<CrdInForce>>) {
        self.now.rcu(|now| {
            let Now { policy, limits, budget, turns } = &**now;
            let mut policy = policy.clone();
            policy.set_crd(crd.cloned());
            Now { policy, limits: *limits, budget: Arc::clone(budget), turns: Arc::clone(turns) }
        });
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.now.load().limits
    }

    /// The configuration in force. Do not hold it across an await.
    pub(super) fn now(&self) -> Guard<Arc<Now>> {
        self.now.load()
    }

    /// The budget for a body that starts now.
    pub(super) fn budget(&self) -> Arc<BodyBudget> {
        Arc::clone(&self.now.load().budget)
    }

    /// The turns for a review that starts now.
    pub(super) fn turns(&self) -> Arc<Turns> {
        Arc::clone(&self.now.load().turns)
    }

    /// Runs the timer. Runs until dropped.
    pub(super) async fn run(&self) {
        self.timer.run().await;
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
        f.debug_struct("LiveConfig").field("policy", &now.policy).field("limits", &now.limits).finish_non_exhaustive()
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
    fn a_reload_keeps_the_crd_and_a_new_crd_keeps_the_policy() {
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
