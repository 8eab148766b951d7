//! TLS: the serving certificate, the verification of client certificates, and the reload of both.

use std::{fmt, path::PathBuf, sync::Arc};

use arc_swap::ArcSwapOption;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use thiserror::Error;

pub use self::{
    callers::Callers,
    dev::dev_pair,
    pair::{Files, Pair},
    watch::{watch, watch_callers},
};

pub(crate) use self::{expiry::ExpiryWarning, watch::replace};

mod callers;
mod dev;
mod expiry;
mod pair;
mod watch;

/// Why TLS cannot be configured, or a certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{path}: cannot read file", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why reading failed.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("{path}: cannot write file", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why writing failed.
        source: std::io::Error,
    },
    /// A file holds no PEM certificate, or an invalid one.
    #[error("{path}: {cause}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A file holds no PEM private key, or one that TLS cannot use.
    #[error("{path}: {cause}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The key does not match the certificate.
    #[error("{key} is not the key of {certificate}", certificate = certificate.display(), key = key.display())]
    Pair {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// The error of the TLS library.
        source: rustls::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// The crypto library supports neither TLS version.
    #[error("cannot configure TLS")]
    Configure(#[source] rustls::Error),
}

/// The serving certificate, for new connections. While there is none, TLS handshakes fail.
#[derive(Default)]
pub struct Certificates {
    pair: ArcSwapOption<Pair>,
    last_failure: ArcSwapOption<String>,
}

impl Certificates {
    /// With a first serving certificate.
    #[must_use]
    pub fn new(pair: Pair) -> Self {
        Self { pair: ArcSwapOption::from_pointee(pair), ..Self::default() }
    }

    /// Replaces the serving certificate. Open connections keep theirs.
    pub fn replace(&self, pair: Pair) {
        self.pair.store(Some(Arc::new(pair)));
    }

    /// The serving certificate, if there is one yet.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Pair>> {
        self.pair.load_full()
    }

    /// Sets what last failed on the way to a serving certificate, for `/readyz`.
    pub(crate) fn set_last_failure(&self, failure: Option<String>) {
        self.last_failure.store(failure.map(Arc::new));
    }

    /// What last failed on the way to a serving certificate, and has not succeeded since.
    pub(crate) fn last_failure(&self) -> Option<Arc<String>> {
        self.last_failure.load_full()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.pair.load().as_ref().map(|pair| Arc::clone(&pair.certified))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

/// The TLS configuration of the webhook: TLS 1.2 and 1.3.
///
/// ALPN offers only `http/1.1`, which the API server uses for webhooks behind a Service. Session resumption is off, because the
/// API server never resumes, and tickets would cost time in each handshake. Without `callers`, any client may connect.
///
/// # Errors
///
/// [`TlsError::Configure`] if the crypto library supports neither version.
pub fn server_config(certificates: Arc<Certificates>, callers: Option<Arc<Callers>>) -> Result<ServerConfig, TlsError> {
    let config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Configure)?;
    let config = match callers {
        Some(callers) => config.with_client_cert_verifier(callers),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// The crypto library for all of TLS.
pub(crate) fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}
