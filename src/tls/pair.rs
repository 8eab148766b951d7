//! A certificate and its key, read from PEM.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rustls::{
    Error, InconsistentKeys,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};
use x509_parser::parse_x509_certificate;

use super::{TlsError, provider};
use crate::files;

/// A certificate chain with its key, and the validity of the first certificate.
#[derive(Debug)]
pub struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    not_before: i64,
    not_after: i64,
}

impl Pair {
    /// Reads a pair from PEM. `files` names certificate and key in errors.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if either is not PEM of its kind, or they do not match.
    pub fn from_pem(certificate: &[u8], key: &[u8], files: &Files) -> Result<Self, TlsError> {
        let (chain, not_before, not_after) =
            chain(certificate).map_err(|cause| TlsError::Certificate { path: files.certificate.clone(), cause })?;
        let no_key = |cause| TlsError::Key { path: files.key.clone(), cause };
        let key = private_key(key).map_err(no_key)?;
        let key = provider().key_provider.load_private_key(key).map_err(|_| no_key(UNKNOWN_KEY.to_owned()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Self { certified: Arc::new(certified), not_before, not_after })
            }
            Err(source) => {
                Err(TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), source })
            }
        }
    }

    /// The certificate, followed by any intermediate certificates.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// Expiry in Unix seconds.
    #[must_use]
    pub fn expiry(&self) -> i64 {
        self.not_after
    }

    /// Start and expiry in Unix seconds.
    pub(crate) fn validity(&self) -> [i64; 2] {
        [self.not_before, self.not_after]
    }

    /// Whether both have the same certificate chain.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }

    /// Whether it is valid at this time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now.as_second())
    }
}

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct Files {
    /// PEM of the certificate, followed by any intermediate certificates.
    pub certificate: PathBuf,
    /// PEM of the private key.
    pub key: PathBuf,
}

impl Files {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if a file cannot be read, or the two do not match.
    pub fn load(&self) -> Result<Pair, TlsError> {
        let (certificate, key) = self.read()?;
        Pair::from_pem(&certificate, &key, self)
    }

    pub(super) fn read(&self) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
        Ok((regular(&self.certificate)?, regular(&self.key)?))
    }
}

pub(super) fn regular(path: &Path) -> Result<Vec<u8>, TlsError> {
    files::regular(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// The certificates, with start and expiry of the first.
///
/// # Errors
///
/// What is wrong, to follow the name of the file.
pub(super) fn chain(text: &[u8]) -> Result<(Vec<CertificateDer<'static>>, i64, i64), String> {
    let mut chain = Vec::new();
    let mut validity = None;
    for (index, certificate) in CertificateDer::pem_slice_iter(text).enumerate() {
        let broken = |cause: &str| format!("certificate {} is invalid: {cause}", index + 1);
        let certificate = certificate.map_err(|error| broken(pem_cause(&error)))?;
        let (rest, parsed) = parse_x509_certificate(&certificate).map_err(|_| broken("it is not X.509"))?;
        if !rest.is_empty() {
            return Err(broken("its PEM block has extra bytes"));
        }
        let whole = parsed.validity();
        validity.get_or_insert((whole.not_before.timestamp(), whole.not_after.timestamp()));
        chain.push(certificate);
    }
    let (not_before, not_after) = validity.ok_or_else(|| missing("certificate", "CERTIFICATE", text))?;
    Ok((chain, not_before, not_after))
}

const UNKNOWN_KEY: &str =
    "unsupported or damaged private key: use RSA (2048 to 8192 bits), ECDSA (P-256, P-384 or P-521) or Ed25519";

/// The first private key. Errors never quote the file.
fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    // Both formats of encrypted keys have this word in a header line.
    let is_encrypted = || text.windows(9).any(|word| word == b"ENCRYPTED");
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        _ if is_encrypted() => "the private key is encrypted; store it without a passphrase".to_owned(),
        pem::Error::NoItemsFound => missing("private key", "PRIVATE KEY", text),
        error => format!("the private key is invalid: {}", pem_cause(&error)),
    })
}

fn missing(what: &str, label: &str, text: &[u8]) -> String {
    if text.is_empty() {
        return format!("no {what} found: the file is empty");
    }
    format!("no {what} found: expected a line -----BEGIN {label}-----")
}

/// Describes a PEM error. The library's own messages print bytes as numbers.
fn pem_cause(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its PEM block has no end line",
        pem::Error::IllegalSectionStart { .. } => "the first line of its PEM block is malformed",
        pem::Error::Base64Decode(_) => "its PEM block is not base64",
        pem::Error::SectionTooLarge => "its PEM block is too large",
        _ => "it is not PEM",
    }
}
