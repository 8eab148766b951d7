//! Failures of certificate management: each is counted, and each new one is logged once.

use std::sync::Arc;

use tracing::{debug, warn};

use super::{
    CertificatesError, error_chain,
    metrics::{Failure, Metrics},
};
use crate::tls::Certificates;

/// Counts and logs the failures of one loop. A failure that repeats is logged again only after a success.
pub(super) struct FailureLog {
    metrics: Arc<Metrics>,
    /// Where `/readyz` finds the last failure. None for failures that keep no replica from serving.
    certificates: Option<Arc<Certificates>>,
    /// Failures logged since the last success, oldest first.
    logged: Vec<(Failure, String)>,
}

impl FailureLog {
    pub(super) fn new(metrics: &Arc<Metrics>, certificates: Option<&Arc<Certificates>>) -> Self {
        Self { metrics: Arc::clone(metrics), certificates: certificates.cloned(), logged: Vec::new() }
    }

    pub(super) fn failed(&mut self, failure: Failure, cause: String) {
        /// More than alternate in practice. Beyond this, the oldest is forgotten, and would be logged again.
        const REMEMBERED: usize = 8;
        self.metrics.count_failure(failure);
        if let Some(certificates) = &self.certificates {
            certificates.set_last_failure(Some(cause.clone()));
        }
        let entry = (failure, cause);
        if !self.logged.contains(&entry) {
            warn!(
                failure = failure.name(),
                error = entry.1,
                "certificate management failed; still serving the current certificate"
            );
            if self.logged.len() == REMEMBERED {
                self.logged.remove(0);
            }
            self.logged.push(entry);
        }
    }

    /// Records a success: the next failure is logged, even if it is a known one.
    pub(super) fn succeeded(&mut self) {
        let is_own = |failure: &str| self.logged.iter().any(|(_, cause)| cause == failure);
        if let Some(certificates) = &self.certificates
            && certificates.last_failure().is_some_and(|failure| is_own(&failure))
        {
            certificates.set_last_failure(None);
        }
        self.logged.clear();
    }
}

/// Counts a failure that needs no warning: it is retried, and is visible in other ways too.
pub(super) fn count(metrics: &Metrics, failure: Failure, error: &CertificatesError) {
    metrics.count_failure(failure);
    debug!(failure = failure.name(), error = error_chain(error), "certificate management failed; retrying");
}
