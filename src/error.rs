//! Errors, as they are told.

use std::{error::Error, iter};

/// The error and its causes.
pub(crate) fn error_chain(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
