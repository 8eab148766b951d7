//! Verification of client certificates: by CA and by name.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use super::{
    TlsError,
    pair::{chain, regular},
    provider,
};

/// Accepts clients with a TLS client certificate that a CA of a file has signed and that has an accepted name. Other clients get
/// a TLS alert.
///
/// The CAs can be replaced while the server runs; open connections stay open. A CA is trusted as long as its certificate is in
/// the file, even if it has expired. Revocation lists are not supported.
pub struct Callers {
    bundle: ArcSwap<CaBundle>,
    names: Vec<String>,
    file: PathBuf,
}

impl Callers {
    /// Accepts certificates signed by a CA in `file` (PEM) that have one of `names`, exactly: as common name of the subject, or
    /// as DNS name, URI or e-mail address among the subject alternative names.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if the file cannot be read, or holds anything other than PEM certificates of CAs.
    pub fn load(file: PathBuf, names: Vec<String>) -> Result<Self, TlsError> {
        let bundle = CaBundle::from_pem(&regular(&file)?, &file)?;
        Ok(Self { bundle: ArcSwap::from_pointee(bundle), names, file })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Replaces the CAs. Returns whether they changed.
    pub(super) fn replace(&self, pem: &[u8]) -> Result<bool, TlsError> {
        let new = CaBundle::from_pem(pem, &self.file)?;
        let is_new = new.certificates != self.bundle.load().certificates;
        self.bundle.store(Arc::new(new));
        Ok(is_new)
    }

    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.bundle.load().verifier)
    }
}

/// The certificates of a CA bundle, and a verifier for them.
struct CaBundle {
    certificates: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl CaBundle {
    fn from_pem(pem: &[u8], file: &Path) -> Result<Self, TlsError> {
        let broken = |cause| TlsError::Certificate { path: file.to_owned(), cause };
        let (certificates, ..) = chain(pem).map_err(broken)?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            let unusable = |error| broken(format!("certificate {} is not a CA certificate: {error}", index + 1));
            roots.add(certificate.clone()).map_err(unusable)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider())).build();
        Ok(Self { certificates, verifier: verifier.map_err(|error| broken(error.to_string()))? })
    }
}

impl ClientCertVerifier for Callers {
    /// No hints: the API server has one certificate for this webhook, and presents it in any case.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier().verify_client_cert(end_entity, intermediates, now)?;
        if has_name(end_entity, &self.names) {
            return Ok(verified);
        }
        // Results in the alert access_denied, by which the client can see that its CA is not the problem.
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier().supported_verify_schemes()
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers").field("names", &self.names).field("file", &self.file).finish_non_exhaustive()
    }
}

/// Whether the certificate has one of the names. A wildcard in the certificate matches only itself.
fn has_name(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else { return false };
    let is_accepted = |found: &str| names.iter().any(|name| name == found);
    let has_common_name =
        certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()).any(is_accepted);
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let mut alternatives = alternative.iter().flat_map(|names| &names.value.general_names);
    has_common_name
        || alternatives.any(|name| match name {
            GeneralName::DNSName(text) | GeneralName::URI(text) | GeneralName::RFC822Name(text) => is_accepted(text),
            _ => false,
        })
}
