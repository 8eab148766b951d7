//! Who may call: certificates of which authorities, and with which names.

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

/// Who may call: whoever has a certificate for TLS clients that an authority of a file has signed and that has an accepted
/// name. All others get a TLS alert.
///
/// The authorities can be replaced while serving; open connections stay, as they do when the certificate pair is replaced.
/// An authority is trusted for as long as its certificate is in the file, also when that has expired. There are no
/// revocation lists.
pub struct Callers {
    authorities: ArcSwap<Authorities>,
    names: Vec<String>,
    file: PathBuf,
}

impl Callers {
    /// Those whose certificate the authorities of `file`, PEM, have signed, and has one of `names`: as a common name of its
    /// subject, or as a DNS name, URI or e-mail address among its alternative ones, letter for letter.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where the file cannot be read, or is not of PEM certificates of authorities alone.
    pub fn load(file: PathBuf, names: Vec<String>) -> Result<Self, TlsError> {
        let authorities = Authorities::from_pem(&regular(&file)?, &file)?;
        Ok(Self { authorities: ArcSwap::from_pointee(authorities), names, file })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Goes by what the file holds now; tells whether that is something else.
    pub(super) fn replace(&self, pem: &[u8]) -> Result<bool, TlsError> {
        let new = Authorities::from_pem(pem, &self.file)?;
        let is_new = new.certificates != self.authorities.load().certificates;
        self.authorities.store(Arc::new(new));
        Ok(is_new)
    }

    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.authorities.load().verifier)
    }
}

/// The certificates of a bundle, and what verifies by them.
struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Authorities {
    fn from_pem(pem: &[u8], file: &Path) -> Result<Self, TlsError> {
        let broken = |cause| TlsError::Certificate { path: file.to_owned(), cause };
        let (certificates, ..) = chain(pem).map_err(broken)?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            let unusable = |error| broken(format!("certificate {} is no authority's: {error}", index + 1));
            roots.add(certificate.clone()).map_err(unusable)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider())).build();
        Ok(Self { certificates, verifier: verifier.map_err(|error| broken(error.to_string()))? })
    }
}

impl ClientCertVerifier for Callers {
    /// None: the API server has one certificate for this webhook, and presents it whatever the hints are.
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
        // The alert of this is access_denied: it tells the caller that its authority is not what is wrong.
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

/// Whether the certificate has one of the names. Those of hosts are no patterns here: a wildcard equals only itself.
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
