//! A `caBundle`: the CA certificates that an API server trusts for a webhook.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

use super::ca::Certificate;
use crate::tls::{self, Pair};

/// CA certificates, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bundle(pub(super) Vec<Certificate>);

impl Bundle {
    /// Reads PEM. Anything that is not a CA certificate is skipped, because it adds no trust.
    pub(super) fn parse(pem: &[u8]) -> Self {
        let found = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        Self(found.filter_map(Certificate::of_ca).collect())
    }

    pub(super) fn pem(&self) -> String {
        self.0.iter().map(Certificate::pem).collect()
    }

    pub(super) fn contains(&self, certificate: &Certificate) -> bool {
        self.0.contains(certificate)
    }

    /// Whether an API server with this bundle accepts `pair` for the server `name`.
    pub(super) fn accepts(&self, pair: &Pair, name: &str, now: Timestamp) -> bool {
        let mut roots = RootCertStore::empty();
        // Go rejects chains to an expired CA; rustls does not.
        for certificate in self.0.iter().filter(|certificate| certificate.is_valid(now)) {
            drop(roots.add(certificate.der().clone()));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(tls::provider())).build();
        let (Ok(verifier), Ok(name)) = (verifier, ServerName::try_from(name)) else { return false };
        let Some((leaf, between)) = pair.chain().split_first() else { return false };
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_second().unsigned_abs()));
        verifier.verify_server_cert(leaf, between, &name, &[], now).is_ok()
    }
}
