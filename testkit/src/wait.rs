//! Waiting for a condition.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Checks `condition` every five milliseconds until it holds. `what` describes it in the message of a failure.
///
/// # Panics
///
/// Panics after ten minutes. Only a test that has failed takes as long, even next to a load of 20.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_mins(10), "waited in vain: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
