//! Limits how many denials are logged.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tracing::info;

/// Samples denials for the log: all of a burst, then one a second, and the number of those left out.
///
/// A cluster manager that is denied retries at once, without end. Every denial is still in its response, in the API server's
/// audit log and in the metrics.
pub(super) struct Denials(Mutex<Sample>);

impl Denials {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Sample::new(Instant::now())))
    }

    /// Whether to log the denial at `now`. If not, it is counted as left out.
    pub(super) fn is_logged(&self, now: Instant) -> bool {
        self.sample().takes(now)
    }

    /// Logs once a minute how many were left out. Runs until dropped.
    pub(super) async fn run(&self) {
        const EVERY: Duration = Duration::from_mins(1);
        loop {
            sleep(EVERY).await;
            self.log_omitted();
        }
    }

    /// Logs how many were left out since the last such line, if any.
    pub(super) fn log_omitted(&self) {
        let count = mem::take(&mut self.sample().left_out);
        if count > 0 {
            info!(count, "denials left out of the log");
        }
    }

    fn sample(&self) -> MutexGuard<'_, Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token bucket that gains one token a second.
struct Sample {
    left: u32,
    /// Up to when gained tokens are counted.
    filled: Instant,
    left_out: u64,
}

impl Sample {
    /// Covers what a user or a pipeline applies at once.
    const BURST: u32 = 100;

    fn new(now: Instant) -> Self {
        Self { left: Self::BURST, filled: now, left_out: 0 }
    }

    fn takes(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled).as_secs();
        self.filled += Duration::from_secs(seconds);
        self.left = self.left.saturating_add(u32::try_from(seconds).unwrap_or(u32::MAX)).min(Self::BURST);
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return true;
        }
        self.left_out += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Sample;

    #[test]
    fn a_burst_is_logged_whole_and_then_one_denial_a_second() {
        let start = Instant::now();
        let mut sample = Sample::new(start);
        let mut logged = |millis: u64, count: u32| {
            (0..count).filter(|_| sample.takes(start + Duration::from_millis(millis))).count()
        };
        assert_eq!(logged(0, 1000), 100);
        assert_eq!(logged(999, 1000), 0);
        assert_eq!(logged(1000, 1000), 1);
        // A fraction of a second is not lost.
        assert_eq!(logged(1900, 1000), 0);
        assert_eq!(logged(3000, 1000), 2);
        // A clock that steps back gains no token.
        assert_eq!(logged(0, 1000), 0);
        assert_eq!(logged(86_400_000, 1000), 100);
        assert_eq!(sample.left_out, 7000 - 203);
    }
}
