//! No rollout fails a call: an upgrade from the previous release, then twenty rolling restarts.

use serde_json::json;
use testkit::{
    control_plane::ControlPlane,
    profiles::{Profiles, good},
    writers::Writers,
};

use super::{
    PACE, Proof,
    account::Account,
    hub::Hub,
    upgrade::{self, Release},
};

pub(crate) fn prove(plane: &ControlPlane) -> Proof {
    let (mut rollouts, mut kill) = (Account::new(plane), Account::new(plane));
    let mut hub = Hub::install_release(plane, &FLAGS, &Release::previous());
    let writers = Writers::new(Profiles::new(plane, &json!({})), good, PACE);
    let mut broken = Vec::new();
    rollouts.skip(&writers);
    writers.write(|| {
        writers.go_on();
        broken.extend(upgrade::upgraded(&mut hub, &mut rollouts, &writers));
    });
    rollouts.add(&writers);
    upgrade::opened_meanwhile(&mut hub);
    rollouts.skip(&writers);
    writers.write(|| {
        writers.go_on();
        for _ in 0..ROLLOUTS {
            hub.roll();
            rollouts.close(&format!("both replicas are replaced, {ROLLOUTS} times"), &writers, 0);
        }
    });
    rollouts.add(&writers);
    let (late, refused, total) = (hub.fleet().late(), hub.fleet().refused(), rollouts.total());
    let what =
        format!("{ROLLOUTS} rolling restarts, {late} connections taken after SIGTERM, {refused} refused: {total}");
    println!("{what}");

    kill.skip(&writers);
    writers.write(|| {
        writers.go_on();
        let connections = hub.kill(|| writers.go_on());
        kill.close("a replica is killed", &writers, connections);
    });
    kill.add(&writers);
    writers.assert_stored_what_was_accepted();

    broken.extend(rollouts.broken().into_iter().chain(kill.broken()));
    if total.admissions < LEAST_ADMISSIONS {
        broken.push(format!("{LEAST_ADMISSIONS} admissions are required, not {total}"));
    }
    if refused > 0 || late == 0 {
        broken.push("a replica that got SIGTERM must accept what its Service still sends".into());
    }
    let figures = format!("{}\n{what}.\n\n{}", rollouts.table(), kill.table());
    Proof { total, broken, figures }
}

const ROLLOUTS: usize = 20;

const LEAST_ADMISSIONS: u64 = 10_000;

/// Longer than a Service goes on sending connections, and than writers pause, so that each connection is used once
/// more, and closed with its answer.
const FLAGS: [&str; 1] = ["--drain=2s"];
