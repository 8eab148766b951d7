//! Watches on the Secret and the webhook configurations, to notice changes at once.

use std::{convert::Infallible, fmt, pin::pin, time::Duration};

use futures_util::StreamExt as _;
use kube::{
    Api,
    api::{WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::debug;

use super::{ANSWER, Cluster, ask};
use crate::certificates::{Backoff, CertificatesError};

/// Timeout of a watch in seconds, as client-go uses it.
const WATCH: u32 = 290;

impl Cluster {
    /// Notifies `changes` whenever the Secret or a configuration may have changed. Runs until dropped.
    pub(in crate::certificates) async fn watch(
        &self,
        changes: &watch::Sender<()>,
        failed: impl Fn(&CertificatesError),
    ) -> Infallible {
        let (secret, configuration) = (&self.names.secret, &self.names.configuration);
        tokio::join!(
            follow(&self.secrets, secret, changes, &failed),
            follow(&self.mutating, configuration, changes, &failed),
            follow(&self.validating, configuration, changes, &failed),
        )
        .0
    }
}

async fn follow<K: Clone + fmt::Debug + DeserializeOwned>(
    api: &Api<K>,
    name: &str,
    changes: &watch::Sender<()>,
    failed: &impl Fn(&CertificatesError),
) -> Infallible {
    let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(WATCH);
    let mut backoff = Backoff::default();
    loop {
        // From version 0: the first event covers all changes that a broken watch has missed.
        match ask("watch", api.watch_metadata(&params, "0")).await {
            Ok(events) => {
                let mut events = pin!(events);
                // A connection whose peer has vanished stays silent and never ends.
                let limit = Duration::from_secs(WATCH.into()) + ANSWER;
                while let Ok(Some(Ok(event))) = timeout(limit, events.next()).await {
                    if matches!(event, WatchEvent::Error(_)) {
                        break;
                    }
                    backoff.reset();
                    changes.send_replace(());
                }
                debug!(name, "watch ended");
            }
            Err(error) => failed(&error),
        }
        sleep(backoff.next()).await;
    }
}
