//! The webhook, called by a real API server.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must end")]
#![expect(clippy::print_stdout, reason = "it says what is left out, and where logs are")]

#[path = "support/api.rs"]
mod api;
#[path = "support/assets.rs"]
mod assets;
#[path = "support/authority.rs"]
mod authority;
#[path = "prove/balancer.rs"]
#[expect(dead_code, reason = "Pods come and go, and calls are counted, in the proof")]
mod balancer;
#[path = "e2e/break_glass.rs"]
mod break_glass;
#[path = "support/built.rs"]
mod built;
#[path = "e2e/callers.rs"]
mod callers;
#[path = "support/calls.rs"]
mod calls;
#[path = "support/case.rs"]
#[expect(dead_code, reason = "other surfaces need more of it")]
mod case;
#[path = "e2e/cases.rs"]
mod cases;
#[path = "e2e/cert_manager.rs"]
mod cert_manager;
#[path = "e2e/chart.rs"]
mod chart;
#[path = "support/client.rs"]
#[expect(dead_code, reason = "only its way to trust a certificate is wanted")]
mod client;
#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "e2e/controllers.rs"]
mod controllers;
#[path = "e2e/crd_in_force.rs"]
mod crd_in_force;
#[path = "e2e/deleted.rs"]
mod deleted;
#[path = "e2e/empty_root.rs"]
mod empty_root;
#[path = "e2e/faults.rs"]
mod faults;
#[path = "e2e/fixes.rs"]
mod fixes;
#[path = "e2e/gitops.rs"]
mod gitops;
#[path = "e2e/harmed.rs"]
mod harmed;
#[path = "support/helm.rs"]
#[expect(dead_code, reason = "here it is a shell's")]
mod helm;
#[path = "e2e/install.rs"]
mod install;
#[path = "e2e/installations.rs"]
mod installations;
#[path = "e2e/installed.rs"]
mod installed;
#[path = "e2e/kubectl.rs"]
mod kubectl;
#[path = "support/loopback.rs"]
mod loopback;
#[path = "e2e/make.rs"]
mod make;
#[path = "e2e/managed.rs"]
mod managed;
#[path = "e2e/managers.rs"]
mod managers;
#[path = "e2e/manifests.rs"]
mod manifests;
#[path = "support/mount.rs"]
mod mount;
#[path = "e2e/null_label.rs"]
mod null_label;
#[path = "e2e/observed.rs"]
mod observed;
#[path = "e2e/planes.rs"]
mod planes;
#[path = "e2e/pods.rs"]
mod pods;
#[path = "support/process.rs"]
mod process;
#[path = "support/profiles.rs"]
mod profiles;
#[path = "support/prometheus.rs"]
mod prometheus;
#[path = "support/promql.rs"]
mod promql;
#[path = "e2e/queries.rs"]
mod queries;
#[path = "support/random.rs"]
#[expect(dead_code, reason = "fuzzing chooses among things, too")]
mod random;
#[path = "support/readme.rs"]
mod readme;
#[path = "support/rendered.rs"]
mod rendered;
#[path = "e2e/renewal.rs"]
mod renewal;
#[path = "support/replica.rs"]
#[expect(dead_code, reason = "the proofs do other things while one ends")]
mod replica;
#[path = "e2e/rotation.rs"]
mod rotation;
#[path = "e2e/scalars.rs"]
mod scalars;
#[path = "support/server.rs"]
mod server;
#[path = "support/stage.rs"]
mod stage;
#[path = "e2e/traces.rs"]
mod traces;
#[path = "support/transcript.rs"]
mod transcript;
#[path = "e2e/url.rs"]
mod url;
#[path = "support/verdict.rs"]
mod verdict;
#[path = "support/wait.rs"]
mod wait;
#[path = "support/webhook.rs"]
mod webhook;
#[path = "e2e/writer.rs"]
mod writer;
#[path = "support/writers.rs"]
#[expect(dead_code, reason = "how long a write takes is the proof's to tell")]
mod writers;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::Arguments;

use self::{assets::Assets, planes::Planes};

fn main() -> ExitCode {
    /// Nearly all of a test is waiting for the API server.
    const THREADS: usize = 8;
    let mut arguments = Arguments::from_args();
    let Some(assets) = Assets::find() else {
        println!("e2e: left out: `make control-plane` builds the API server that these tests want");
        return ExitCode::SUCCESS;
    };
    arguments.test_threads.get_or_insert(THREADS);
    let planes = Arc::new(Planes::new(assets.clone()));
    let mut trials = cases::trials(&planes);
    assert!(trials.len() > 400, "the case files are there");
    trials.extend(kubectl::trials(&planes));
    trials.extend(scalars::trials(&assets));
    trials.extend(manifests::trials(&assets));
    trials.extend(controllers::trials(&planes));
    trials.extend(faults::trials(&planes));
    trials.extend(deleted::trials(&planes));
    trials.extend(fixes::trials(&planes, &assets));
    trials.push(null_label::trial(&planes));
    trials.push(url::trial(&planes));
    trials.push(callers::trial(&assets));
    trials.push(crd_in_force::trial(&assets));
    trials.extend(traces::trial(&assets));
    let conclusion = libtest_mimic::run(&arguments, trials);
    Arc::into_inner(planes).expect("no test runs any more").stop(conclusion.has_failed());
    conclusion.exit_code()
}
