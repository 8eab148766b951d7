//! Warnings about certificates that expire soon.

use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

/// Logs a warning once if a certificate expires soon and was not renewed.
pub(crate) struct ExpiryWarning {
    what: &'static str,
    expiry: Timestamp,
    lifetime: Duration,
    is_logged: bool,
}

impl ExpiryWarning {
    /// Without an expiry yet. `what` names the certificate in the log.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, expiry: Timestamp::MAX, lifetime: Duration::ZERO, is_logged: false }
    }

    pub(crate) fn set(&mut self, expiry: Timestamp, lifetime: Duration) {
        if self.expiry != expiry {
            (self.expiry, self.lifetime, self.is_logged) = (expiry, lifetime, false);
        }
    }

    /// Warns a week before the expiry, or in the last quarter of a shorter lifetime. A certificate that is renewed as planned
    /// never gets there.
    pub(crate) fn warn(&mut self, now: Timestamp) {
        const WEEK: Duration = Duration::from_hours(7 * 24);
        if !self.is_logged && self.expiry < now + WEEK.min(self.lifetime / 4) {
            warn!(
                what = self.what,
                expiry = self.expiry.as_second(),
                "certificate expires soon and has not been renewed"
            );
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
    fn a_warning_is_logged_once_a_week_ahead_or_in_the_last_quarter() {
        const DAY: Duration = Duration::from_hours(24);
        let expiry: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (lifetime, ahead) in [(365 * DAY, 7 * DAY), (8 * DAY, 2 * DAY)] {
            let mut warning = ExpiryWarning::new("serving certificate");
            warning.set(expiry, lifetime);
            warning.warn(expiry - ahead);
            assert!(!warning.is_logged);
            warning.warn(expiry - ahead + Duration::from_secs(1));
            assert!(warning.is_logged);
            warning.set(expiry, lifetime);
            assert!(warning.is_logged, "the same expiry is logged once");
            warning.set(expiry + DAY, lifetime);
            assert!(!warning.is_logged);
        }
    }
}
