//! Watches the CustomResourceDefinition in force. With it, /mutate can warn of writes that the API server refuses before it
//! calls /validate.
//!
//! A failure never affects reviews: while the definition is unknown, there are no such warnings.
//!
//! The definition stays JSON here, because `review` reads the few parts of it that it knows and ignores all others.

use std::{convert::Infallible, fmt, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, WatchEvent, WatchParams},
    core::Status,
};
use thiserror::Error;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::LiveConfig;
use crate::{
    error::error_chain,
    kube::client::{self, AccessError},
    review::{CrdError, CrdInForce},
};

/// The name of the CustomResourceDefinition.
const NAME: &str = "clusterprofiles.multicluster.x-k8s.io";

/// Timeout of a request.
const ANSWER: Duration = Duration::from_secs(10);

/// Timeout of a watch in seconds, as client-go uses it.
const WATCH: u32 = 290;

/// The first and the longest pause after a failure.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];

/// Keeps the definition in force in [`LiveConfig`].
///
/// Requires the verbs get and watch on that one definition.
pub struct CrdWatch {
    definitions: Api<DynamicObject>,
    /// What was logged last, to log each state once: that the definition is known, or why not.
    logged: Option<Result<(), String>>,
}

/// Why the definition in force is unknown.
#[derive(Debug, Error)]
enum CrdWatchError {
    #[error("cannot read the CustomResourceDefinition: {}", .0.message)]
    Refused(Box<Status>),
    #[error("cannot read the CustomResourceDefinition")]
    Request(#[source] kube::Error),
    #[error("cannot read the CustomResourceDefinition: the API server did not respond in time")]
    Timeout,
    #[error("CustomResourceDefinition clusterprofiles.multicluster.x-k8s.io not found")]
    Absent,
    #[error(transparent)]
    Unusable(#[from] CrdError),
}

impl CrdWatch {
    /// Configures a client for the API server. Sends no request.
    ///
    /// # Errors
    ///
    /// [`AccessError`].
    pub async fn connect() -> Result<Self, AccessError> {
        let resource = ApiResource {
            group: "apiextensions.k8s.io".into(),
            version: "v1".into(),
            api_version: "apiextensions.k8s.io/v1".into(),
            kind: "CustomResourceDefinition".into(),
            plural: "customresourcedefinitions".into(),
        };
        Ok(Self { definitions: Api::all_with(client::client().await?, &resource), logged: None })
    }

    /// Keeps `live` up to date. Runs until dropped.
    pub async fn run(mut self, live: &LiveConfig) -> Infallible {
        let [first, longest] = PAUSES;
        let mut pause = first;
        loop {
            match self.follow(live).await {
                Ok(()) => pause = first,
                Err(error) => {
                    self.learn(live, Err(error));
                    pause = longest.min(pause * 2);
                }
            }
            sleep(pause).await;
        }
    }

    /// Reads the definition, then each change of it until the watch ends.
    async fn follow(&mut self, live: &LiveConfig) -> Result<(), CrdWatchError> {
        // A watch would not report that the definition is already gone.
        let found = ask(self.definitions.get_opt(NAME)).await?;
        self.learn(live, found.ok_or(CrdWatchError::Absent).and_then(read));
        let params = WatchParams::default().fields(&format!("metadata.name={NAME}")).timeout(WATCH);
        let mut events = pin!(ask(self.definitions.watch(&params, "0")).await?);
        // A connection whose peer has vanished stays silent and never ends.
        let limit = Duration::from_secs(WATCH.into()) + ANSWER;
        while let Ok(Some(Ok(event))) = timeout(limit, events.next()).await {
            match event {
                WatchEvent::Added(definition) | WatchEvent::Modified(definition) => self.learn(live, read(definition)),
                WatchEvent::Deleted(_) => self.learn(live, Err(CrdWatchError::Absent)),
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(_) => break,
            }
        }
        debug!("watch of the CustomResourceDefinition ended");
        Ok(())
    }

    fn learn(&mut self, live: &LiveConfig, crd: Result<CrdInForce, CrdWatchError>) {
        let news = crd.as_ref().map(drop).map_err(|error| error_chain(error));
        live.set_crd(crd.ok().map(Arc::new).as_ref());
        if self.logged.as_ref() == Some(&news) {
            return;
        }
        match &news {
            Ok(()) => info!("CRD in force loaded"),
            Err(error) => {
                warn!(
                    error,
                    "CRD in force unknown; for writes that it refuses, users see only the API server's message"
                );
            }
        }
        self.logged = Some(news);
    }
}

fn read(definition: DynamicObject) -> Result<CrdInForce, CrdWatchError> {
    Ok(CrdInForce::read(definition.data)?)
}

async fn ask<T>(answer: impl Future<Output = kube::Result<T>>) -> Result<T, CrdWatchError> {
    match timeout(ANSWER, answer).await.map_err(|_| CrdWatchError::Timeout)? {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(status)) => Err(CrdWatchError::Refused(status)),
        Err(error) => Err(CrdWatchError::Request(error)),
    }
}

impl fmt::Debug for CrdWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CrdWatch")
    }
}
