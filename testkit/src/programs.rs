//! Programs that `make` builds for tests, in `target`.
//!
//! A missing program skips the tests that need it, and a line reports this. With `CI` set, or `E2E=require`, it is an
//! error: a test that is skipped without notice proves nothing.

use std::{env, path::PathBuf};

use crate::root;

/// The directory with `etcd`, `kube-apiserver` and `kubectl`.
#[derive(Clone, Debug)]
pub struct Assets(PathBuf);

impl Assets {
    /// Finds the programs in `KUBEBUILDER_ASSETS`, or else in `target/control-plane`. Returns `None` if one is missing.
    ///
    /// # Panics
    ///
    /// Panics if one is missing and tests must not be skipped.
    pub fn find() -> Option<Self> {
        let named = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()).map(PathBuf::from);
        let assets = Self(named.unwrap_or_else(|| root().join("target/control-plane")));
        let missing = ["etcd", "kube-apiserver", "kubectl"].into_iter().find(|name| !assets.program(name).exists());
        let Some(missing) = missing else { return Some(assets) };
        assert!(!are_required(), "{}: {missing} is missing: run `make control-plane`", assets.0.display());
        None
    }

    /// The path of one of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Finds the directory `target/NAME` that `make NAME` builds. If the program NAME is not in it, prints that `tests`
/// ("the tests of the chart are") skipped, and returns `None`.
///
/// # Panics
///
/// Panics if the program is missing and tests must not be skipped.
pub fn find(name: &str, tests: &str) -> Option<PathBuf> {
    let directory = root().join("target").join(name);
    if directory.join(name).exists() {
        return Some(directory);
    }
    assert!(!are_required(), "{}: {name} is missing: run `make {name}`", directory.display());
    println!("{tests} skipped: run `make {name}`");
    None
}

/// Whether a missing program is an error.
pub fn are_required() -> bool {
    env::var("CI").is_ok_and(|value| !value.is_empty()) || env::var("E2E").is_ok_and(|value| value == "require")
}
