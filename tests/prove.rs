//! The proof that no rotation of certificates fails a call: `make prove-certificates`.
//!
//! A real API server calls two replicas behind a Service while profiles are written, good ones and bad ones, and everything
//! happens to their certificates that can. It takes minutes, so plain `cargo test` leaves it out.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "what cannot go on must end")]
#![expect(clippy::print_stdout, reason = "it tells what it counts")]

#[path = "prove/account.rs"]
mod account;
#[path = "support/api.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod api;
#[path = "support/assets.rs"]
mod assets;
#[path = "support/authority.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod authority;
#[path = "prove/balancer.rs"]
mod balancer;
#[path = "support/calls.rs"]
mod calls;
#[path = "support/control_plane.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod control_plane;
#[path = "prove/files.rs"]
mod files;
#[path = "prove/fleet.rs"]
mod fleet;
#[path = "prove/hub.rs"]
mod hub;
#[path = "support/loopback.rs"]
mod loopback;
#[path = "prove/managed.rs"]
mod managed;
#[path = "support/mount.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod mount;
#[path = "support/process.rs"]
mod process;
#[path = "support/profiles.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod profiles;
#[path = "support/rendered.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod rendered;
#[path = "support/replica.rs"]
mod replica;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "replicas are processes here")]
mod server;
#[path = "support/wait.rs"]
mod wait;
#[path = "support/webhook.rs"]
#[expect(dead_code, reason = "replicas are processes here")]
mod webhook;
#[path = "support/writers.rs"]
mod writers;

use std::{env, fs, process::ExitCode, time::Duration};

use clusterprofile_webhook::{crd, manifest};

use serde_json::json;

use self::{
    account::Account,
    assets::Assets,
    control_plane::ControlPlane,
    hub::Hub,
    profiles::{Profiles, good},
    writers::Writers,
};

/// As `make prove-certificates` calls it.
const ARGUMENT: &str = "prove";

/// 50 writers then create 100 profiles a second, half of them bad.
const PACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if !env::args().any(|argument| argument == ARGUMENT) {
        println!("prove: left out: `make prove-certificates` runs it");
        return ExitCode::SUCCESS;
    }
    let Some(assets) = Assets::find() else {
        println!("prove: left out: `make control-plane` builds the API server that it wants");
        return ExitCode::SUCCESS;
    };
    let crd = manifest::read(crd::yaml().as_bytes()).0.remove(0).object;
    let plane = ControlPlane::start(&assets, "prove", &[crd]);
    println!("prove: logs and data are in {} unless all goes well", plane.directory().display());
    let (mut rotations, mut disturbances) = (Account::new(&plane), Account::new(&plane));
    files::swapped(&plane, &mut rotations, PACE);

    let mut hub = Hub::install(&plane);
    let profiles = || Profiles::new(&plane, &json!({}));
    let writers = Writers::new(profiles(), good, PACE);
    let mut broken = managed::rotated(&mut hub, &mut rotations, &writers);
    let (renewed, total) = (hub.renewed(), rotations.total());
    let what = format!(
        "{renewed} renewals of a leaf, {} rotations of the authority, {} changes of the leader: {total}",
        managed::ROTATIONS,
        hub.changes_of_leader
    );
    println!("{what}");
    managed::killed(&mut hub, &mut disturbances, &writers);
    broken.extend(managed::overwritten(&hub, &mut disturbances, &writers, &profiles()));
    broken.extend(rotations.broken().into_iter().chain(disturbances.broken()));
    if total.admissions < LEAST_ADMISSIONS || renewed < LEAST_RENEWALS {
        broken.push(format!(
            "{LEAST_ADMISSIONS} admissions and {LEAST_RENEWALS} renewals are wanted, not {total}, {renewed}"
        ));
    }
    for broken in &broken {
        println!("prove: {broken}");
    }
    if broken.is_empty() && env::var_os("UPDATE").is_some() {
        let figures = format!("{}\n{what}.\n\n{}", rotations.table(), disturbances.table());
        fs::write(FIGURES, figures).expect("it can be written");
    }
    println!("{total}");
    if !broken.is_empty() {
        return ExitCode::FAILURE;
    }
    drop(hub);
    plane.forget();
    ExitCode::SUCCESS
}

const LEAST_ADMISSIONS: u64 = 10_000;
const LEAST_RENEWALS: u64 = 20;

/// What the README shows.
const FIGURES: &str = "tests/prove/figures.md";
