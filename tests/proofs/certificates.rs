//! No rotation of certificates fails a call.

use serde_json::json;
use testkit::{
    control_plane::ControlPlane,
    profiles::{Profiles, good},
    writers::Writers,
};

use super::{PACE, Proof, account::Account, files, hub::Hub, managed};

pub(crate) fn prove(plane: &ControlPlane) -> Proof {
    let (mut rotations, mut disturbances) = (Account::new(plane), Account::new(plane));
    files::swapped(plane, &mut rotations, PACE);

    let mut hub = Hub::install(plane, &FLAGS);
    let profiles = || Profiles::new(plane, &json!({}));
    let writers = Writers::new(profiles(), good, PACE);
    let mut broken = managed::rotated(&mut hub, &mut rotations, &writers);
    let (renewed, total) = (hub.renewed(), rotations.total());
    let what = format!(
        "{renewed} renewals of a leaf, {} rotations of the CA, {} changes of the leader: {total}",
        managed::ROTATIONS,
        hub.changes_of_leader
    );
    println!("{what}");
    managed::killed(&mut hub, &mut disturbances, &writers);
    broken.extend(managed::overwritten(&hub, &mut disturbances, &writers, &profiles()));
    broken.extend(rotations.broken().into_iter().chain(disturbances.broken()));
    if total.admissions < LEAST_ADMISSIONS || renewed < LEAST_RENEWALS {
        broken.push(format!(
            "{LEAST_ADMISSIONS} admissions and {LEAST_RENEWALS} renewals are required, not {total} and {renewed}"
        ));
    }
    let figures = format!("{}\n{what}.\n\n{}", rotations.table(), disturbances.table());
    Proof { total, broken, figures }
}

/// Lifetimes with which a rotation takes 24 seconds: 5 until the new CA signs, 14 more until the old one is removed.
/// Leaf certificates are renewed every 6 seconds, with 3 in reserve for a busy machine.
///
/// A replica drains for longer than the pause of writers, so that each connection is used once more and closed with its
/// response.
const FLAGS: [&str; 5] =
    ["--ca-lifetime=36s", "--ca-overlap=5s", "--leaf-lifetime=9s", "--lease-duration=2s", "--drain=2s"];

const LEAST_ADMISSIONS: u64 = 10_000;
const LEAST_RENEWALS: u64 = 20;
