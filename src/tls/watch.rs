//! Noticing that the files of a certificate pair, or of who may call, have changed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{Callers, Certificates, ExpiryWarning, Files, Pair, pair::regular};
use crate::{
    error::error_chain,
    files::FilePoller,
    metrics::{File, Metrics},
};

/// Serves what the files hold whenever it changes, for as long as it is polled.
///
/// What cannot be served is told once, and the last good pair stays until the files change again. A pair that has expired or
/// is not valid yet does not replace one that is valid; it waits until it is, or until the other is not.
pub async fn watch(files: Files, certificates: Arc<Certificates>, metrics: Arc<Metrics>) -> Infallible {
    let mut poller = FilePoller::new(None);
    let mut next: Option<Pair> = None;
    let mut expiry = ExpiryWarning::new("certificate");
    loop {
        let reader = files.clone();
        let found = poller.next(move || reader.read()).await;
        let current = certificates.current();
        let replaces = |pair: &Pair| {
            pair.is_valid(Timestamp::now())
                || !current.as_ref().is_some_and(|current| current.is_valid(Timestamp::now()))
        };
        if let Some(found) = found {
            let pair = found.and_then(|(certificate, key)| {
                Pair::from_pem(&certificate, &key, &files).map_err(|error| error_chain(&error))
            });
            let untimely = || format!("{}: has expired or is not valid yet", files.certificate.display());
            let error = match &pair {
                Ok(pair) => (!replaces(pair)).then(untimely),
                Err(error) => Some(error.clone()),
            };
            metrics.files.set_unusable(File::Certificate, error.is_some());
            if let Some(error) = error {
                metrics.files.count_reload(File::Certificate, false);
                warn!(error, "certificate pair not replaced, the last good one is served");
            }
            next = pair.ok();
        }
        if let Some(pair) = next.take_if(|pair| replaces(pair)) {
            metrics.files.set_unusable(File::Certificate, false);
            replace(pair, &certificates, &metrics);
        }
        if let Some([from, until]) = certificates.current().map(|pair| pair.validity()) {
            let lifetime = Duration::from_secs(until.saturating_sub(from).unsigned_abs());
            expiry.set(Timestamp::from_second(until).unwrap_or(Timestamp::MAX), lifetime);
            expiry.warn(Timestamp::now());
        }
    }
}

/// Serves `pair` from now on, and tells so where it is another one.
pub(crate) fn replace(pair: Pair, certificates: &Certificates, metrics: &Metrics) {
    let (expiry, validity) = (pair.expiry(), pair.validity());
    let is_new = !certificates.current().is_some_and(|current| pair.is_same(&current));
    certificates.replace(pair);
    // After that, for who reads them goes on as soon as they tell of it.
    metrics.server.set_certificate_validity(validity);
    if is_new {
        metrics.files.count_reload(File::Certificate, true);
        info!(expiry, "certificate pair replaced");
    }
}

/// Lets those call whom the file of `callers` names whenever it changes, for as long as it is polled.
///
/// What names nobody is told once, and the last good authorities stay until the file changes again.
pub async fn watch_callers(callers: Arc<Callers>, metrics: Arc<Metrics>) -> Infallible {
    let mut poller = FilePoller::new(None);
    loop {
        let file = callers.file().to_owned();
        let Some(found) = poller.next(move || regular(&file)).await else { continue };
        let replaced = found.and_then(|pem| callers.replace(&pem).map_err(|error| error_chain(&error)));
        metrics.files.set_unusable(File::ClientCa, replaced.is_err());
        match replaced {
            Ok(false) => {}
            Ok(true) => {
                metrics.files.count_reload(File::ClientCa, true);
                info!("client CA replaced");
            }
            Err(error) => {
                metrics.files.count_reload(File::ClientCa, false);
                warn!(error, "client CA not replaced, the last good one is trusted");
            }
        }
    }
}
