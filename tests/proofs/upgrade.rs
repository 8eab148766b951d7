//! An armed hub stays armed while the previous release, whose replicas do not prove themselves to the leader, is
//! replaced.

use std::path::PathBuf;

use serde_json::json;
use testkit::{program, server::value_of, wait::wait_until, writers::Writers};

use super::{account::Account, hub::Hub};

/// A build, and the manifests that install it.
pub(crate) struct Release {
    pub program: PathBuf,
    pub manifests: PathBuf,
}

impl Release {
    /// This one.
    pub(crate) fn own() -> Self {
        Self { program: program(), manifests: "manifests/base".into() }
    }

    /// The one before.
    pub(crate) fn previous() -> Self {
        let program = PathBuf::from("target/previous/clusterprofile-webhook");
        assert!(program.exists(), "{} is missing: run `make prove-rollout`", program.display());
        let program = program.canonicalize().expect("it exists");
        Self { program, manifests: "target/previous/source/manifests/base".into() }
    }
}

/// Upgrades and rolls back under load. Returns a line for each broken promise.
pub(crate) fn upgraded(hub: &mut Hub<'_>, account: &mut Account<'_>, writers: &Writers<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let steps = [
        (Release::own(), "the release before is upgraded to this one"),
        (Release::previous(), "this one is rolled back to the release before"),
    ];
    for (release, step) in steps {
        // kubectl applies the same fields as before, also failurePolicy.
        hub.apply(&release);
        wait_until("the leader has armed it again", || hub.failure_policy() == "Fail");
        let before = hub.generation();
        hub.roll();
        account.close(step, writers, 0);
        if hub.failure_policy() != "Fail" || hub.generation() != before {
            broken.push(format!("{step}: an armed webhook must stay as it is"));
        }
    }
    broken
}

/// Another client opens the webhook while this release leads and the one before answers: it is armed again when a
/// replica of this release answers, and not before.
pub(crate) fn opened_meanwhile(hub: &mut Hub<'_>) {
    hub.apply(&Release::own());
    wait_until("the leader has armed it again", || hub.failure_policy() == "Fail");
    let newcomer = hub.fleet_mut().start_leader();
    let before = hub.generation();
    hub.overwrite("failurePolicy", &json!("Ignore"));
    wait_until("it reports why it is not armed", || hub.fleet().last_log().contains("a replica of an older release"));
    assert!(value_of(newcomer.admin, "certificate_failures_total{failure=\"arming\"}") > 0);
    assert_eq!(hub.failure_policy(), "Ignore");
    assert_ne!(hub.generation(), before, "it was opened");
    hub.fleet_mut().replace_by(newcomer);
    wait_until("it is armed again", || hub.failure_policy() == "Fail");
}
