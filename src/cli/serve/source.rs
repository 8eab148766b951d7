//! Where the serving certificate comes from, and what renews it.

use std::{convert::Infallible, future::pending, path::PathBuf, sync::Arc};

use clusterprofile_webhook::{
    certificates::{Managed, Options, Prover},
    metrics::Metrics,
    tls::{self, Certificates, Files},
};

/// The source of the serving certificate.
pub(super) enum Source {
    Files(Files),
    /// Made in memory. The CA certificate is written to this file.
    Dev(PathBuf),
    Managed(Box<Options>),
}

/// Renews the serving certificate while the server runs.
pub(super) enum CertificateRenewer {
    Files(Files),
    Managed(Box<Managed>),
    Never,
}

impl Source {
    /// The first certificate, if one exists yet, and what renews it.
    pub(super) async fn open(self) -> anyhow::Result<(Certificates, CertificateRenewer)> {
        Ok(match self {
            Self::Files(files) => (Certificates::new(files.load()?), CertificateRenewer::Files(files)),
            Self::Dev(ca) => (Certificates::new(tls::dev_pair(&ca)?), CertificateRenewer::Never),
            Self::Managed(options) => {
                (Certificates::default(), CertificateRenewer::Managed(Box::new(Managed::new(*options).await?)))
            }
        })
    }
}

impl CertificateRenewer {
    pub(super) async fn run(&self, certificates: &Arc<Certificates>, metrics: &Metrics) -> Infallible {
        let certificates = Arc::clone(certificates);
        match self {
            Self::Files(files) => tls::watch(files.clone(), certificates, Arc::clone(&metrics.reloads)).await,
            Self::Managed(managed) => Box::pin(managed.run(certificates, Arc::clone(&metrics.certificates))).await,
            Self::Never => pending().await,
        }
    }

    /// Answers arming probes. Only with self-managed certificates.
    pub(super) fn prover(&self) -> Option<Arc<Prover>> {
        match self {
            Self::Managed(managed) => Some(managed.prover()),
            Self::Files(_) | Self::Never => None,
        }
    }

    /// Gives up leadership, if this replica is the leader.
    pub(super) async fn release(&self) {
        if let Self::Managed(managed) = self {
            managed.release().await;
        }
    }
}
