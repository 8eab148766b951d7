//! Proofs that no call fails while a real API server calls the webhook: `make prove-certificates` and others.
//!
//! Writers create valid and invalid profiles during the events of a proof. A proof takes minutes, so plain `cargo test`
//! skips it; the harness runs the one that its arguments name.

#![expect(clippy::indexing_slicing, reason = "what cannot go on must end")]
#![expect(clippy::print_stdout, reason = "it prints its figures")]

mod account;
mod certificates;
mod files;
mod fleet;
mod hub;
mod managed;
mod overload;
mod rollout;
mod upgrade;

use std::{env, fs, process::ExitCode, time::Duration};

use clusterprofile_webhook::{crd, manifest};
use testkit::{control_plane::ControlPlane, programs::Assets};

use self::account::Total;

/// The argument before the name of a proof. It distinguishes the name from a filter of tests.
const ARGUMENT: &str = "prove";

type Prove = fn(&ControlPlane) -> Proof;

/// The proofs by name. The file of figures has the same name.
const PROOFS: [(&str, Prove); 3] =
    [("certificates", certificates::prove), ("rollout", rollout::prove), ("overload", overload::prove)];

/// The result of a proof.
struct Proof {
    /// The calls and writes that must not fail.
    total: Total,
    /// A line for each broken promise.
    broken: Vec<String>,
    /// The figures in Markdown.
    figures: String,
}

/// 50 writers then create 100 profiles a second, half of them bad.
const PACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip_while(|argument| argument != ARGUMENT).skip(1).collect();
    let Some((name, prove)) = PROOFS.into_iter().find(|(name, _)| arguments.iter().any(|argument| argument == name))
    else {
        let names = PROOFS.map(|(name, _)| format!("`make prove-{name}`")).join(", ");
        println!("prove: skipped: {names} run proofs");
        return if arguments.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    let Some(assets) = Assets::find() else {
        println!("prove: skipped: run `make control-plane` for the API server");
        return ExitCode::SUCCESS;
    };
    let crd = manifest::read(crd::yaml().as_bytes()).0.remove(0).object;
    let plane = ControlPlane::start(&assets, &format!("prove-{name}"), &[crd]);
    println!("prove: logs and data are in {} unless all goes well", plane.directory().display());
    let Proof { total, broken, figures } = prove(&plane);
    for broken in &broken {
        println!("prove: {broken}");
    }
    if broken.is_empty() && env::var_os("UPDATE").is_some() {
        fs::write(format!("tests/proofs/{name}.md"), figures).expect("it can be written");
    }
    println!("{total}");
    if !broken.is_empty() {
        return ExitCode::FAILURE;
    }
    plane.forget();
    ExitCode::SUCCESS
}
