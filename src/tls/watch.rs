//! Noticing that the files of a certificate pair, or of who may call, have changed.

use std::{convert::Infallible, error::Error, iter, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{Callers, Certificates, End, Files, Pair, TlsError, pair::regular};
use crate::metrics::{File, Metrics};

/// How often the files are read.
///
/// Content is compared, not watched: kubelet swaps a link two directories up, of which a watch sees the first swap alone. A
/// rotation gives minutes, and reading two small files costs microseconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// Serves what the files hold whenever it changes, for as long as it is polled.
///
/// What cannot be served is told once, and the last good pair stays until the files change again. A pair that has expired or
/// is not valid yet does not replace one that is valid; it waits until it is, or until the other is not.
pub async fn watch(files: Files, certificates: Arc<Certificates>, metrics: Arc<Metrics>) -> Infallible {
    let mut seen = None;
    let mut next: Option<Pair> = None;
    let mut end = End::new("certificate");
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let reader = files.clone();
        // An error says that the runtime is going down, and this with it.
        let Ok(read) = tokio::task::spawn_blocking(move || settled(|| reader.read())).await else { continue };
        let found = read.map_err(|error| told(&error));
        let current = certificates.current();
        let replaces = |pair: &Pair| {
            pair.is_valid(Timestamp::now())
                || !current.as_ref().is_some_and(|current| current.is_valid(Timestamp::now()))
        };
        if seen.as_ref() != Some(&found) {
            let pair = found
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|(certificate, key)| Pair::from_pem(certificate, key, &files).map_err(|error| told(&error)));
            let untimely = || format!("{}: has expired or is not valid yet", files.certificate.display());
            let error = match &pair {
                Ok(pair) => (!replaces(pair)).then(untimely),
                Err(error) => Some(error.clone()),
            };
            metrics.server.set_unusable(File::Certificate, error.is_some());
            if let Some(error) = error {
                metrics.count_reload(false);
                warn!(error, "certificate pair not replaced, the last good one is served");
            }
            next = pair.ok();
            seen = Some(found);
        }
        if let Some(pair) = next.take_if(|pair| replaces(pair)) {
            metrics.server.set_unusable(File::Certificate, false);
            replace(pair, &certificates, &metrics);
        }
        if let Some([from, until]) = certificates.current().map(|pair| pair.validity()) {
            let lifetime = Duration::from_secs(until.saturating_sub(from).unsigned_abs());
            end.set(Timestamp::from_second(until).unwrap_or(Timestamp::MAX), lifetime);
            end.warn(Timestamp::now());
        }
    }
}

/// Serves `pair` from now on, and tells so where it is another one.
pub(crate) fn replace(pair: Pair, certificates: &Certificates, metrics: &Metrics) {
    let (expiry, validity) = (pair.expiry(), pair.validity());
    let is_new = !certificates.current().is_some_and(|current| pair.is_same(&current));
    certificates.replace(pair);
    // After that, for who reads them goes on as soon as they tell of it.
    metrics.set_certificate_validity(validity);
    if is_new {
        metrics.count_reload(true);
        info!(expiry, "certificate pair replaced");
    }
}

/// Lets those call whom the file of `callers` names whenever it changes, for as long as it is polled.
///
/// What names nobody is told once, and the last good authorities stay until the file changes again.
pub async fn watch_callers(callers: Arc<Callers>, metrics: Arc<Metrics>) -> Infallible {
    let mut seen = None;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let file = callers.file().to_owned();
        // An error says that the runtime is going down, and this with it.
        let Ok(read) = tokio::task::spawn_blocking(move || settled(|| regular(&file))).await else { continue };
        let found = read.map_err(|error| told(&error));
        if seen.as_ref() == Some(&found) {
            continue;
        }
        let replaced =
            found.as_ref().map_err(Clone::clone).and_then(|pem| callers.replace(pem).map_err(|error| told(&error)));
        metrics.server.set_unusable(File::ClientCa, replaced.is_err());
        match replaced {
            Ok(false) => {}
            Ok(true) => {
                metrics.count_client_ca_reload(true);
                info!("client CA replaced");
            }
            Err(error) => {
                metrics.count_client_ca_reload(false);
                warn!(error, "client CA not replaced, the last good one is trusted");
            }
        }
        seen = Some(found);
    }
}

/// The error and its causes.
pub(crate) fn told(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What files hold, read again where they were written or swapped meanwhile.
fn settled<T: PartialEq>(read: impl Fn() -> Result<T, TlsError>) -> Result<T, TlsError> {
    /// More swaps within microseconds are no rotation; what is not whole then is found out, and the next look comes.
    const TRIES: usize = 3;
    let mut found = read();
    for _ in 1..TRIES {
        let again = read();
        if matches!((&found, &again), (Ok(before), Ok(after)) if before == after) {
            break;
        }
        found = again;
    }
    found
}
