//! helm, as `make helm` builds it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::built::built;

/// The directory of the program.
pub(crate) struct Helm(PathBuf);

impl Helm {
    /// None where it is not built and the tests that want it may be left out.
    pub(crate) fn find() -> Option<Self> {
        built("helm", "what tests the chart").map(Self)
    }

    /// Without a cluster, and with a home in which it leaves nothing to others.
    pub(crate) fn command(&self, home: &Path) -> Command {
        let mut helm = Command::new(self.0.join("helm"));
        helm.env_clear().env("HOME", home);
        helm
    }
}
