//! Control planes that tests share, one for each CRD, each started by the first test that needs it.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, OnceLock},
};

use clusterprofile_webhook::{
    crd, manifest,
    review::{CrdInForce, Policy},
    server::{Config, Limits, LiveConfig},
};
use serde_json::Value;
use testkit::{
    case::{Case, PolicyOf},
    control_plane::ControlPlane,
    programs::Assets,
    webhook::Webhook,
};

use super::fixes::definition;

/// Which CRD is installed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Crd {
    /// The CRD of this project, with both versions.
    Own,
    /// The CRD that OCM and KubeFleet bundle: v1alpha1 only, without keys for the lists of the status.
    Unkeyed,
}

/// The control planes, by CRD.
pub(crate) struct Planes {
    assets: Assets,
    own: OnceLock<Option<Plane>>,
    unkeyed: OnceLock<Option<Plane>>,
}

/// A control plane, with a webhook for each policy of the cases.
pub(crate) struct Plane {
    webhooks: Mutex<HashMap<PolicyOf, Arc<Webhook>>>,
    /// The CRD that its webhooks know.
    crd: Arc<CrdInForce>,
    pub control: ControlPlane,
}

impl Planes {
    pub(crate) fn new(assets: Assets) -> Self {
        Self { assets, own: OnceLock::new(), unkeyed: OnceLock::new() }
    }

    pub(crate) fn get(&self, variant: Crd) -> &Plane {
        let (cell, name) = match variant {
            Crd::Own => (&self.own, "own"),
            Crd::Unkeyed => (&self.unkeyed, "unkeyed"),
        };
        let start = || Plane {
            webhooks: Mutex::default(),
            crd: Arc::new(CrdInForce::read(variant.object()).expect("it is a definition")),
            control: ControlPlane::start(&self.assets, name, &[variant.object()]),
        };
        // If it does not start for one test, it is not tried again for a thousand others.
        let plane = cell.get_or_init(|| catch_unwind(AssertUnwindSafe(start)).ok());
        plane.as_ref().expect("the control plane starts; the first test that needed it reports why not")
    }

    /// Stops all control planes. After a failure their files remain.
    pub(crate) fn stop(self, failed: bool) {
        for plane in [self.own, self.unkeyed].into_iter().filter_map(OnceLock::into_inner).flatten() {
            drop(plane.webhooks);
            if failed {
                println!("e2e: logs and data are in {}", plane.control.directory().display());
            } else {
                plane.control.forget();
            }
        }
    }
}

impl Plane {
    /// The webhook with the policy of `case`.
    pub(crate) fn webhook(&self, case: &Case) -> Arc<Webhook> {
        self.webhook_of(&case.policy, || case.policy())
    }

    /// The webhook without flags.
    pub(crate) fn plain_webhook(&self) -> Arc<Webhook> {
        self.webhook_of(&PolicyOf::default(), Policy::default)
    }

    fn webhook_of(&self, key: &PolicyOf, policy: impl FnOnce() -> Policy) -> Arc<Webhook> {
        let mut webhooks = self.webhooks.lock().expect("no test panics while it holds the webhooks");
        let name = format!("cases-{}", webhooks.len());
        let config = || {
            let mut policy = policy();
            policy.set_crd(Some(Arc::clone(&self.crd)));
            Config { live: Arc::new(LiveConfig::new(policy, Limits::default())), ..Config::default() }
        };
        let start = || Arc::new(Webhook::start(&self.control, &name, config()));
        Arc::clone(webhooks.entry(key.clone()).or_insert_with(start))
    }
}

impl Crd {
    pub(crate) const ALL: [Self; 2] = [Self::Own, Self::Unkeyed];

    pub(crate) fn serves(self, version: &str) -> bool {
        self == Self::Own || version == "v1alpha1"
    }

    pub(crate) fn object(self) -> Value {
        match self {
            Self::Own => manifest::read(crd::yaml().as_bytes()).0.remove(0).object,
            // KubeFleet's is equal.
            Self::Unkeyed => definition("bundled-with-ocm"),
        }
    }
}
