//! cert-manager's own controllers, built by `make cert-manager`.

use std::{path::PathBuf, process::Command};

use testkit::{control_plane::ControlPlane, process::Process, programs::find};

use super::manifests::Shell;

/// The directory of the program and its CRDs.
pub(crate) struct CertManager(PathBuf);

impl CertManager {
    /// Returns `None` if it is not built and can be skipped.
    pub(crate) fn find() -> Option<Self> {
        find("cert-manager", "e2e: the story with cert-manager is").map(Self)
    }

    /// Installs the CRDs and starts the controllers.
    pub(crate) fn start(&self, plane: &ControlPlane, shell: &Shell) -> Process {
        let crds = self.0.join("crds");
        let crds = crds.display();
        // Some are too large for the annotation of a client-side apply.
        shell.run(&format!("kubectl apply --server-side -f {crds}"));
        shell.run(&format!("kubectl wait --for=condition=Established --timeout=2m -f {crds}"));
        let mut command = Command::new(self.program());
        command.env_clear().env("KUBECONFIG", plane.kubeconfig());
        Process::start(&mut command, &plane.directory().join("cert-manager.log"))
    }

    fn program(&self) -> PathBuf {
        self.0.join("cert-manager")
    }
}
