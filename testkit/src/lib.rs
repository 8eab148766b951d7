//! What tests, benches, examples and fuzz targets share.

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
