//! What has failed: counted each time, told once until it is another thing.

use std::sync::Arc;

use tracing::{debug, warn};

use super::{CertificatesError, error_chain};
use crate::metrics::{Failure, Metrics};

/// Whoever does one thing again and again, and what it has told of it last.
pub(super) struct FailureLog {
    metrics: Arc<Metrics>,
    /// Since it last went well.
    told: Vec<(Failure, String)>,
}

impl FailureLog {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        Self { metrics: Arc::clone(metrics), told: Vec::new() }
    }

    pub(super) fn failed(&mut self, failure: Failure, cause: String) {
        /// More than take turns; the oldest is news again then.
        const REMEMBERED: usize = 8;
        self.metrics.certificates.count_failure(failure);
        let told = (failure, cause);
        if !self.told.contains(&told) {
            warn!(failure = failure.name(), error = told.1, "certificates: what is served stays");
            if self.told.len() == REMEMBERED {
                self.told.remove(0);
            }
            self.told.push(told);
        }
    }

    /// What fails next is news again.
    pub(super) fn went_well(&mut self) {
        self.told.clear();
    }
}

/// Counts what is not worth a line: it is tried again, and another way to notice is there.
pub(super) fn count(metrics: &Metrics, failure: Failure, error: &CertificatesError) {
    metrics.certificates.count_failure(failure);
    debug!(failure = failure.name(), error = error_chain(error), "certificates: tried again");
}
