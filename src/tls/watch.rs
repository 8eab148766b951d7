//! Noticing that the files of a certificate pair have changed.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{Certificates, Files, Pair, TlsError};
use crate::metrics::Metrics;

/// How often the files are read.
///
/// Content is compared, not watched: kubelet swaps a link two directories up, of which a watch sees the first swap alone. A
/// rotation gives minutes, and reading two small files costs microseconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// Serves what the files hold whenever it changes, for as long as it is polled.
///
/// What cannot be served is told once, and the last good pair stays until the files change again.
pub async fn watch(files: Files, certificates: Arc<Certificates>, metrics: Arc<Metrics>) {
    let mut seen = None;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let reader = files.clone();
        // An error says that the runtime is going down.
        let Ok(read) = tokio::task::spawn_blocking(move || settled(&reader)).await else { return };
        let now = read.map_err(|error| error.to_string());
        if seen.as_ref() == Some(&now) {
            continue;
        }
        let pair = now.as_ref().map_err(Clone::clone).and_then(|(certificate, key)| {
            Pair::from_pem(certificate, key, &files).map_err(|error: TlsError| error.to_string())
        });
        match pair {
            Ok(pair) => {
                let expiry = pair.expiry();
                let is_new = !pair.is_same(&certificates.current());
                certificates.replace(pair);
                // After that, for who reads them goes on as soon as they tell of it.
                metrics.set_certificate_expiry(expiry);
                if is_new {
                    metrics.count_reload(true);
                    info!(expiry, "certificate pair replaced");
                }
            }
            Err(error) => {
                metrics.count_reload(false);
                warn!(error, "certificate pair not replaced, the last good one is served");
            }
        }
        seen = Some(now);
    }
}

/// What the files hold, read again where they were swapped between one and the other.
fn settled(files: &Files) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    /// More swaps within microseconds are no rotation; what is no pair then is found out, and the next look comes.
    const TRIES: usize = 3;
    let mut read = files.read();
    for _ in 1..TRIES {
        let again = files.read();
        if matches!((&read, &again), (Ok(before), Ok(after)) if before == after) {
            break;
        }
        read = again;
    }
    read
}
