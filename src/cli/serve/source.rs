//! Where the certificate pair comes from, and who goes on replacing it.

use std::{convert::Infallible, future::pending, path::PathBuf, sync::Arc};

use clusterprofile_webhook::{
    certificates::{Managed, Options, Prover},
    metrics::Metrics,
    tls::{self, Certificates, Files},
};

/// Where the certificate pair comes from.
pub(super) enum Source {
    Files(Files),
    /// Made in memory; the CA's certificate is written there.
    Dev(PathBuf),
    Managed(Box<Options>),
}

/// Who goes on replacing the pair.
pub(super) enum CertificateRenewer {
    Files(Files),
    Managed(Box<Managed>),
    Nobody,
}

impl Source {
    /// The first pair, if there is one, and who cares for the next.
    pub(super) async fn open(self) -> anyhow::Result<(Certificates, CertificateRenewer)> {
        Ok(match self {
            Self::Files(files) => (Certificates::new(files.load()?), CertificateRenewer::Files(files)),
            Self::Dev(ca) => (Certificates::new(tls::dev_pair(&ca)?), CertificateRenewer::Nobody),
            Self::Managed(options) => {
                (Certificates::default(), CertificateRenewer::Managed(Box::new(Managed::new(*options).await?)))
            }
        })
    }
}

impl CertificateRenewer {
    pub(super) async fn run(&self, certificates: &Arc<Certificates>, metrics: &Arc<Metrics>) -> Infallible {
        let (certificates, metrics) = (Arc::clone(certificates), Arc::clone(metrics));
        match self {
            Self::Files(files) => tls::watch(files.clone(), certificates, metrics).await,
            Self::Managed(managed) => Box::pin(managed.run(certificates, metrics)).await,
            Self::Nobody => pending().await,
        }
    }

    /// What answers the probes of an installation.
    pub(super) fn prover(&self) -> Option<Arc<Prover>> {
        match self {
            Self::Managed(managed) => Some(managed.prover()),
            Self::Files(_) | Self::Nobody => None,
        }
    }

    /// Leaves to others what this replica did for all.
    pub(super) async fn release(&self) {
        if let Self::Managed(managed) = self {
            managed.release().await;
        }
    }
}
