//! Helm, built by `make helm`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::programs::find;

/// The Helm program.
pub struct Helm(PathBuf);

impl Helm {
    /// Finds Helm, with the rules of [`find`].
    pub fn find() -> Option<Self> {
        find("helm", "the tests of the chart are").map(Self)
    }

    /// A command without a cluster. Its cache and configuration are in `home`.
    pub fn command(&self, home: &Path) -> Command {
        let mut helm = Command::new(self.0.join("helm"));
        helm.env_clear().env("HOME", home);
        helm
    }
}
