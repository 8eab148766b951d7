//! Certificates that the webhook manages itself: each step of a rotation, with the leader stopped or killed in the
//! middle.

use std::{
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use testkit::{
    ca::Ca,
    profiles::{Profiles, bad},
    writers::Writers,
};

use super::{
    account::Account,
    hub::{Hub, Stage},
};

/// The steps of a leader that are interrupted.
const STEPS: [(Stage, &str); 3] = [
    (Stage::Overlap, "a new CA is made and trusted"),
    (Stage::Signing, "it is promoted, the old one still trusted"),
    (Stage::Steady, "the old one is removed, leaves are renewed"),
];

/// The number of rotations.
pub(crate) const ROTATIONS: usize = 3;

/// Rotations under load, with the leader stopped in the middle of each step. Returns the steps that no other leader has
/// finished.
pub(crate) fn rotated(hub: &mut Hub<'_>, account: &mut Account<'_>, writers: &Writers<'_>) -> Vec<String> {
    let mut unfinished = STEPS.to_vec();
    hub.wait_for(Stage::Steady);
    account.skip(writers);
    writers.write(|| {
        for _ in 0..ROTATIONS {
            for (stage, step) in STEPS {
                hub.wait_for(stage);
                hub.stop_leader();
                // A machine that is too slow once is not too slow in all rotations.
                unfinished.retain(|other| other.0 != stage || hub.stage() != stage);
                account.close(&format!("{step}; the leader stops meanwhile"), writers, 0);
            }
        }
    });
    account.add(writers);
    unfinished.iter().map(|(_, step)| format!("no other leader was in time for: {step}")).collect()
}

/// A rotation, with the leader killed in the middle of each step: one call on each of its connections may fail.
pub(crate) fn killed(hub: &mut Hub<'_>, account: &mut Account<'_>, writers: &Writers<'_>) {
    account.skip(writers);
    writers.write(|| {
        for (stage, step) in STEPS {
            hub.wait_for(stage);
            let connections = hub.kill_leader();
            account.close(&format!("{step}; the leader is killed meanwhile"), writers, connections);
        }
    });
    account.add(writers);
}

/// Another client overwrites what the leader maintains. The leader repairs it within a second.
pub(crate) fn overwritten(
    hub: &Hub<'_>,
    account: &mut Account<'_>,
    writers: &Writers<'_>,
    profiles: &Profiles<'_>,
) -> Vec<String> {
    const LONGEST: Duration = Duration::from_secs(1);
    let mut broken = Vec::new();
    account.skip(writers);
    writers.write(|| {
        let (before, foreign) = (hub.bundles(), STANDARD.encode(Ca::new("another").certificate));
        let started = Instant::now();
        hub.overwrite("clientConfig/caBundle", &json!(foreign));
        let failed = last_failure(profiles, started);
        if failed > LONGEST || hub.bundles() != before {
            broken.push(format!("an overwritten caBundle is not repaired within {LONGEST:?}, but after {failed:?}"));
        }
        account.close(
            &format!("another client overwrites `caBundle`: calls fail for {} ms", failed.as_millis()),
            writers,
            u64::MAX,
        );

        let started = Instant::now();
        hub.overwrite("failurePolicy", &json!("Ignore"));
        while hub.failure_policy() != "Fail" && started.elapsed() < LONGEST {
            thread::park_timeout(Duration::from_millis(5));
        }
        let repaired = started.elapsed();
        if hub.failure_policy() != "Fail" {
            broken.push(format!("an overwritten failurePolicy is not repaired within {LONGEST:?}"));
        }
        writers.go_on();
        account.close(
            &format!("another client overwrites `failurePolicy`: it is repaired after {} ms", repaired.as_millis()),
            writers,
            0,
        );
    });
    account.add(writers);
    broken
}

/// The time of the last failed call after `started`, in the next three seconds.
fn last_failure(profiles: &Profiles<'_>, started: Instant) -> Duration {
    const WATCHED: Duration = Duration::from_secs(3);
    let mut last = Duration::ZERO;
    while started.elapsed() < WATCHED {
        if profiles.try_to_create(&bad("probe", 0)).status != 422 {
            last = started.elapsed();
        }
    }
    last
}
