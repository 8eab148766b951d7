//! The webhook with a real API server.
//!
//! A custom harness runs a trial for each case file and each story. Without a control plane, all of them are skipped.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must end")]
#![expect(clippy::print_stdout, reason = "it reports what is skipped, and where logs are")]

mod break_glass;
mod callers;
mod cases;
mod cert_manager;
mod chart;
mod controllers;
mod crd_in_force;
mod deleted;
mod empty_root;
mod faults;
mod filtered;
mod fixes;
mod flux;
mod gitops;
mod harmed;
mod install;
mod installations;
mod installed;
mod kubectl;
mod make;
mod managed;
mod managers;
mod manifests;
mod null_label;
mod observed;
mod planes;
mod platforms;
mod pods;
mod promql;
mod queries;
mod renewal;
mod rotation;
mod scalars;
mod traces;
mod url;
mod writer;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::Arguments;
use testkit::programs::Assets;

use self::planes::Planes;

fn main() -> ExitCode {
    /// Tests mostly wait for the API server.
    const THREADS: usize = 8;
    let mut arguments = Arguments::from_args();
    let Some(assets) = Assets::find() else {
        println!("e2e: skipped: run `make control-plane` for the API server");
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
