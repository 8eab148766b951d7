//! The client of the API server.

use kube::{Client, Config, config::InferConfigError};
use thiserror::Error;

/// Why no client could be made.
#[derive(Debug, Error)]
pub enum AccessError {
    /// Neither a service account nor a usable kubeconfig was found.
    #[error("no service account and no usable kubeconfig: {0}")]
    Infer(Box<InferConfigError>),
    /// The configuration found is unusable.
    #[error("cannot make a client for the API server")]
    Client(#[source] kube::Error),
}

/// Makes a client with the Pod's service account, or else with the kubeconfig. Its default namespace is theirs. Sends no request.
///
/// # Errors
///
/// [`AccessError`].
pub(crate) async fn client() -> Result<Client, AccessError> {
    let mut config = Config::infer().await.map_err(|error| AccessError::Infer(Box::new(error)))?;
    // Callers retry themselves, with fresh state.
    config.default_retry = false;
    Client::try_from(config).map_err(AccessError::Client)
}
