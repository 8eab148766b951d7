//! What tests, benchmarks, examples and fuzz targets share. Unit tests of the webhook cannot use it, because it depends on
//! the webhook.
//!
//! | to | use |
//! |---|---|
//! | run the server in the process of the test, and send it requests | [`server::Server`], [`client::Client`] |
//! | run the binary as a Pod does | [`replica::Replica`], with [`mount`] and [`balancer`] for what surrounds a Pod |
//! | run an API server | [`control_plane::ControlPlane`], with [`webhook::Webhook`] to register a server |
//! | write profiles through it | [`api::Api`], [`profiles::Profiles`], [`writers::Writers`] |
//! | read case files | [`case::Case`] |
//! | read manifests, pages and transcripts | [`rendered`], [`page::Section`], [`transcript::Session`] |
//! | make certificates | [`ca::Ca`] |
//! | make admission reviews for measurements | [`bodies`], [`worst`] |
//! | check properties of any body | [`fuzz`], [`random::Random`] |
//! | wait | [`wait::wait_until`] |

#![expect(missing_docs, reason = "a name that says everything needs no sentence")]
#![expect(clippy::missing_errors_doc, reason = "the errors are those of sockets")]
#![expect(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "a test that ignores a result fails elsewhere"
)]
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must end")]
#![expect(clippy::print_stdout, reason = "it reports what is skipped")]

use std::{
    env,
    path::{Path, PathBuf},
};

pub mod api;
pub mod balancer;
pub mod bodies;
pub mod ca;
pub mod calls;
pub mod case;
pub mod client;
pub mod control_plane;
pub mod fuzz;
pub mod helm;
pub mod loopback;
pub mod mount;
pub mod page;
pub mod process;
pub mod profiles;
pub mod programs;
pub mod prometheus;
pub mod random;
pub mod rendered;
pub mod replica;
pub mod server;
pub mod stage;
pub mod transcript;
pub mod verdict;
pub mod wait;
pub mod webhook;
pub mod worst;
pub mod writers;

/// The directory of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the kit is in a directory of the repository")
}

/// The binary `clusterprofile-webhook` that cargo built for the running test, bench or example: the one in the same
/// `target/PROFILE`.
pub fn program() -> PathBuf {
    let current = env::current_exe().expect("a running program has a path");
    // target/PROFILE/deps/TEST or target/PROFILE/examples/EXAMPLE.
    let profile = current.ancestors().nth(2).expect("cargo puts programs two levels below target");
    profile.join("clusterprofile-webhook")
}
