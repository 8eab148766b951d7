//! The way to the API server.

use kube::{Client, Config, config::InferConfigError};
use thiserror::Error;

/// Why there is no way to the API server.
#[derive(Debug, Error)]
pub enum AccessError {
    /// There is neither a service account nor a kubeconfig.
    #[error("no access to an API server: {0}")]
    Infer(Box<InferConfigError>),
    /// A client cannot be made of what there is.
    #[error("cannot make a client of the API server")]
    Client(#[source] kube::Error),
}

/// A client with what a Pod has, or else with what `KUBECONFIG` names; whose namespace is its default.
///
/// # Errors
///
/// [`AccessError`]. Nothing is sent.
pub(crate) async fn client() -> Result<Client, AccessError> {
    let mut config = Config::infer().await.map_err(|error| AccessError::Infer(Box::new(error)))?;
    // Whoever asks tries again by itself, with what has changed meanwhile.
    config.default_retry = false;
    Client::try_from(config).map_err(AccessError::Client)
}
