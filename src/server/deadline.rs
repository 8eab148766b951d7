//! The deadline of a request: how long the API server waits for the response.

use std::time::Duration;

use tokio::time::Instant;

use crate::units;

/// The deadline of a request with this query.
///
/// The API server adds its timeout, as in `timeout=10s`, to the query of every call. A tenth of it, at most half a second, is
/// reserved for sending the response.
pub(super) fn of(query: Option<&str>) -> Instant {
    /// The default of webhook configurations.
    const DEFAULT: Duration = Duration::from_secs(10);
    /// The maximum of webhook configurations.
    const LONGEST: Duration = Duration::from_secs(30);
    const LONGEST_MARGIN: Duration = Duration::from_millis(500);
    let given = query.into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("timeout="));
    let given = given.and_then(|timeout| units::duration(timeout).ok()).filter(|timeout| !timeout.is_zero());
    let timeout = given.unwrap_or(DEFAULT).min(LONGEST);
    Instant::now() + timeout.saturating_sub((timeout / 10).min(LONGEST_MARGIN))
}
