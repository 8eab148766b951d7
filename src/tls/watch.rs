//! Reloads the serving certificate and the client CA bundle when their files change.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{Callers, Certificates, ExpiryWarning, Files, Pair, pair::regular};
use crate::{
    error::error_chain,
    files::{File, FilePoller, ReloadMetrics},
};

/// Reloads the serving certificate whenever its files change. Runs until dropped.
///
/// An invalid pair is logged once, and the last valid one stays in use until the files change again. A pair that has expired or
/// is not valid yet replaces a valid one only once it becomes valid or the other one expires.
pub async fn watch(files: Files, certificates: Arc<Certificates>, metrics: Arc<ReloadMetrics>) -> Infallible {
    let mut poller = FilePoller::new(None);
    let mut next: Option<Pair> = None;
    let mut expiry = ExpiryWarning::new("serving certificate");
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
            let untimely =
                || format!("{}: the certificate has expired or is not valid yet", files.certificate.display());
            let error = match &pair {
                Ok(pair) => (!replaces(pair)).then(untimely),
                Err(error) => Some(error.clone()),
            };
            metrics.set_unusable(File::Certificate, error.is_some());
            if let Some(error) = error {
                metrics.count_reload(File::Certificate, false);
                warn!(error, "serving certificate not reloaded; still serving the last valid one");
            }
            next = pair.ok();
        }
        if let Some(pair) = next.take_if(|pair| replaces(pair)) {
            metrics.set_unusable(File::Certificate, false);
            replace(pair, &certificates, &metrics);
        }
        if let Some([from, until]) = certificates.current().map(|pair| pair.validity()) {
            let lifetime = Duration::from_secs(until.saturating_sub(from).unsigned_abs());
            expiry.set(Timestamp::from_second(until).unwrap_or(Timestamp::MAX), lifetime);
            expiry.warn(Timestamp::now());
        }
    }
}

/// Replaces the serving certificate, and counts and logs it if it changed.
pub(crate) fn replace(pair: Pair, certificates: &Certificates, metrics: &ReloadMetrics) {
    let expiry = pair.expiry();
    let is_new = !certificates.current().is_some_and(|current| pair.is_same(&current));
    certificates.replace(pair);
    if is_new {
        metrics.count_reload(File::Certificate, true);
        info!(expiry, "serving certificate reloaded");
    }
}

/// Reloads the client CA bundle whenever its file changes. Runs until dropped.
///
/// An invalid bundle is logged once, and the last valid one stays in use until the file changes again.
pub async fn watch_callers(callers: Arc<Callers>, metrics: Arc<ReloadMetrics>) -> Infallible {
    let mut poller = FilePoller::new(None);
    loop {
        let file = callers.file().to_owned();
        let Some(found) = poller.next(move || regular(&file)).await else { continue };
        let replaced = found.and_then(|pem| callers.replace(&pem).map_err(|error| error_chain(&error)));
        metrics.set_unusable(File::ClientCa, replaced.is_err());
        match replaced {
            Ok(false) => {}
            Ok(true) => {
                metrics.count_reload(File::ClientCa, true);
                info!("client CA bundle reloaded");
            }
            Err(error) => {
                metrics.count_reload(File::ClientCa, false);
                warn!(error, "client CA bundle not reloaded; still using the last valid one");
            }
        }
    }
}
