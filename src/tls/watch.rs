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
/// Certificate and key are read one after the other, so a swap in between gives two that are no pair: the last good one
/// stays, and the next look finds them whole.
pub async fn watch(files: Files, certificates: Arc<Certificates>, metrics: Arc<Metrics>) {
    let mut seen = None;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let reader = files.clone();
        let read = tokio::task::spawn_blocking(move || reader.read()).await.expect("reading two files does not panic");
        let now = read.map_err(|error| error.to_string());
        if seen.as_ref() == Some(&now) {
            continue;
        }
        let pair = now.as_ref().map_err(Clone::clone).and_then(|(certificate, key)| {
            Pair::from_pem(certificate, key, &files).map_err(|error: TlsError| error.to_string())
        });
        match pair {
            Ok(pair) => {
                metrics.set_certificate_expiry(pair.expiry());
                if !pair.is_same(&certificates.current()) {
                    metrics.count_reload(true);
                    info!(expiry = pair.expiry(), "certificate pair replaced");
                }
                certificates.replace(pair);
            }
            Err(error) => {
                metrics.count_reload(false);
                warn!(error, "certificate pair not replaced, the last good one is served");
            }
        }
        seen = Some(now);
    }
}
