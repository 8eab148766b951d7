//! Waiting, never longer than a minute.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits until `condition` holds.
///
/// # Panics
///
/// After a minute, which is far longer than anything takes that is going to succeed.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_mins(1), "waited in vain: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
