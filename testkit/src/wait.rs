//! Waiting for a condition. The deadline only ends a test that has failed.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits until `condition` holds.
///
/// # Panics
///
/// After ten minutes, far longer than anything takes that is going to succeed, beside a load of 20 too.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_mins(10), "waited in vain: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
