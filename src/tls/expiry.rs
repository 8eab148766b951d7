//! Telling of what is about to expire.

use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

/// When something ends, and whether that was told of.
pub(crate) struct ExpiryWarning {
    what: &'static str,
    expiry: Timestamp,
    lifetime: Duration,
    is_logged: bool,
}

impl ExpiryWarning {
    /// Of something that does not end yet; `what` is its name in the log.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, expiry: Timestamp::MAX, lifetime: Duration::ZERO, is_logged: false }
    }

    pub(crate) fn set(&mut self, expiry: Timestamp, lifetime: Duration) {
        if self.expiry != expiry {
            (self.expiry, self.lifetime, self.is_logged) = (expiry, lifetime, false);
        }
    }

    /// A week ahead, or in the last quarter of a shorter life: what is renewed in time never gets so far.
    pub(crate) fn warn(&mut self, now: Timestamp) {
        const WEEK: Duration = Duration::from_hours(7 * 24);
        if !self.is_logged && self.expiry < now + WEEK.min(self.lifetime / 4) {
            warn!(what = self.what, expiry = self.expiry.as_second(), "about to expire, and not renewed");
            self.is_logged = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::ExpiryWarning;

    #[test]
    fn an_end_is_told_of_once_a_week_ahead_or_in_the_last_quarter() {
        const DAY: Duration = Duration::from_hours(24);
        let expiry: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (lifetime, ahead) in [(365 * DAY, 7 * DAY), (8 * DAY, 2 * DAY)] {
            let mut end = ExpiryWarning::new("certificate");
            end.set(expiry, lifetime);
            end.warn(expiry - ahead);
            assert!(!end.is_logged);
            end.warn(expiry - ahead + Duration::from_secs(1));
            assert!(end.is_logged);
            end.set(expiry, lifetime);
            assert!(end.is_logged, "the same end is no news");
            end.set(expiry + DAY, lifetime);
            assert!(!end.is_logged);
        }
    }
}
