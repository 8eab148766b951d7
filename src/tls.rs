//! The certificate pair that is served, and who may call; how both are replaced while serving.

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

/// Why a certificate pair cannot be served, or nobody be let in.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{path}: cannot be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("{path}: cannot be written", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file holds no PEM certificate, or one that is broken.
    #[error("{path}: {cause}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// A file holds no PEM private key, or one that TLS cannot use.
    #[error("{path}: {cause}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// Certificate and key do not belong together.
    #[error("{certificate} and {key} are no pair", certificate = certificate.display(), key = key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// The crypto library offers none of the TLS versions.
    #[error("cannot configure TLS")]
    Configure(#[source] rustls::Error),
}

/// The pair that new connections are served with; while there is none, their handshakes fail.
#[derive(Default)]
pub struct Certificates(ArcSwapOption<Pair>);

impl Certificates {
    /// Serves `pair` from the start.
    #[must_use]
    pub fn new(pair: Pair) -> Self {
        Self(ArcSwapOption::from_pointee(pair))
    }

    /// Serves `pair` from now on; open connections keep the one that they have.
    pub fn replace(&self, pair: Pair) {
        self.0.store(Some(Arc::new(pair)));
    }

    /// The pair that is served, if there is one yet.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Pair>> {
        self.0.load_full()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().as_ref().map(|pair| Arc::clone(&pair.certified))
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
/// server resumes no session, and making them costs each handshake. Without `callers` anybody may call.
///
/// # Errors
///
/// [`TlsError::Configure`] where the crypto library lacks both versions.
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

/// The one crypto library.
pub(crate) fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}
