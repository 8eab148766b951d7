//! The certificate pair that is served, and how it is replaced while serving.

use std::{fmt, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use thiserror::Error;
use x509_parser::parse_x509_certificate;

pub use self::{dev::dev_pair, watch::watch};

mod dev;
mod watch;

/// Why a certificate pair cannot be served.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("{path}: cannot be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file holds no PEM certificate, or something that is none.
    #[error("{path}: no PEM certificates: {cause}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// A file holds no PEM private key.
    #[error("{path}: no PEM private key: {cause}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// Certificate and key do not belong together, or the key is of a kind that TLS does not know.
    #[error("{certificate} and {key} are no pair: {source}", certificate = certificate.display(), key = key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// A development pair could not be made.
    #[error("cannot make a development certificate: {0}")]
    Dev(#[from] rcgen::Error),
    /// The crypto library offers none of the TLS versions.
    #[error("cannot configure TLS: {0}")]
    Configure(#[source] rustls::Error),
}

/// A certificate pair with the time in which it is valid.
#[derive(Debug)]
pub struct Pair {
    certified: Arc<CertifiedKey>,
    not_before: i64,
    not_after: i64,
}

impl Pair {
    /// A pair from PEM, `files` naming its certificate and key in errors.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where either is not PEM of its kind, or the two do not belong together.
    pub fn from_pem(certificate: &[u8], key: &[u8], files: &Files) -> Result<Self, TlsError> {
        let no_certificate = |cause: String| TlsError::Certificate { path: files.certificate.clone(), cause };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| no_certificate(error.to_string()))?;
        let leaf = chain.first().ok_or_else(|| no_certificate("it is empty".into()))?;
        let (_, leaf) = parse_x509_certificate(leaf).map_err(|error| no_certificate(error.to_string()))?;
        let validity = leaf.validity();
        let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| TlsError::Key { path: files.key.clone(), cause: error.to_string() })?;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|source| TlsError::Pair {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        })?;
        Ok(Self { certified: Arc::new(certified), not_before, not_after })
    }

    /// When it expires, in Unix seconds.
    #[must_use]
    pub fn expiry(&self) -> i64 {
        self.not_after
    }

    /// Whether both have the same certificates.
    fn is_same(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }

    /// Whether it is valid at that time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now.as_second())
    }
}

/// The files of a certificate pair.
#[derive(Clone, Debug)]
pub struct Files {
    /// PEM of the certificate, and of those between it and its CA.
    pub certificate: PathBuf,
    /// PEM of its private key.
    pub key: PathBuf,
}

impl Files {
    /// Reads the pair.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where a file cannot be read or the two are no pair.
    pub fn load(&self) -> Result<Pair, TlsError> {
        let (certificate, key) = self.read()?;
        Pair::from_pem(&certificate, &key, self)
    }

    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source });
        Ok((read(&self.certificate)?, read(&self.key)?))
    }
}

/// The pair that new connections are served with.
pub struct Certificates(ArcSwap<Pair>);

impl Certificates {
    /// Serves `pair` from the start.
    #[must_use]
    pub fn new(pair: Pair) -> Self {
        Self(ArcSwap::from_pointee(pair))
    }

    /// Serves `pair` from now on; open connections keep the one that they have.
    pub fn replace(&self, pair: Pair) {
        self.0.store(Arc::new(pair));
    }

    /// The pair that is served.
    #[must_use]
    pub fn current(&self) -> Arc<Pair> {
        self.0.load_full()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().certified))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

/// TLS 1.2 and 1.3 as the webhook speaks them.
///
/// ALPN offers `http/1.1` alone: it is what the API server speaks to a Service. No session tickets and none remembered: the API
/// server resumes no session, and making them costs each handshake.
///
/// # Errors
///
/// [`TlsError::Configure`] where the crypto library lacks both versions.
pub fn server_config(certificates: Arc<Certificates>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Configure)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}
