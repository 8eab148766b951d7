//! Which denials are logged.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tracing::info;

/// The denials of a server on their way into the log: a burst whole, then one a second, and how many were left out.
///
/// A cluster manager that is denied tries again at once, and for ever. What it is told, the API server's audit log and the
/// metrics still have each denial.
pub(super) struct Denials(Mutex<Sample>);

impl Denials {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Sample::new(Instant::now())))
    }

    /// Whether the denial at `now` is logged; else it is counted among those that are left out.
    pub(super) fn is_logged(&self, now: Instant) -> bool {
        self.sample().takes(now)
    }

    /// Tells what was left out once a minute, for as long as it is polled.
    pub(super) async fn run(&self) {
        /// Often enough to see when it was, and a line too few to matter.
        const EVERY: Duration = Duration::from_mins(1);
        loop {
            sleep(EVERY).await;
            self.tell();
        }
    }

    /// Tells what was left out since that was last told, if anything was.
    pub(super) fn tell(&self) {
        let count = mem::take(&mut self.sample().left_out);
        if count > 0 {
            info!(count, "denials left out of the log");
        }
    }

    fn sample(&self) -> MutexGuard<'_, Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bucket that fills by one a second.
struct Sample {
    left: u32,
    /// Until when what has come into the bucket is counted.
    filled: Instant,
    left_out: u64,
}

impl Sample {
    /// What a person writes or a pipeline applies fits into it; it is full again after as many seconds.
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
    fn a_burst_is_whole_and_what_follows_is_one_a_second() {
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
        // A clock that steps back, which it must not, gives nothing.
        assert_eq!(logged(0, 1000), 0);
        assert_eq!(logged(86_400_000, 1000), 100);
        assert_eq!(sample.left_out, 7000 - 203);
    }
}
