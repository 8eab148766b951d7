//! Following the CustomResourceDefinition in force, by which the API server refuses writes before /validate is called.
//!
//! Whatever fails, reviews go on: a definition that is not known refuses nothing.

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

/// The definition of ClusterProfiles.
const NAME: &str = "clusterprofiles.multicluster.x-k8s.io";

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the API server keeps a watch, as clients of it have it, in seconds.
const WATCH: u32 = 290;

/// The pause after a failure: the first, and the longest. An API server that comes back is asked within a minute.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];

/// Gives [`LiveConfig`] what the definition in force refuses, whenever it changes.
///
/// It needs the verbs get and watch on that one definition.
pub struct CrdWatch {
    definitions: Api<DynamicObject>,
    /// What was said last, so that it is said once: that the definition is known, or why not.
    said: Option<Result<(), String>>,
}

/// Why it is not known which definition is in force.
#[derive(Debug, Error)]
enum CrdWatchError {
    #[error("cannot read the CustomResourceDefinition: {}", .0.message)]
    Refused(Box<Status>),
    #[error("cannot read the CustomResourceDefinition")]
    Request(#[source] kube::Error),
    #[error("no answer to reading the CustomResourceDefinition in time")]
    Timeout,
    #[error("there is no CustomResourceDefinition of that name")]
    Absent,
    #[error(transparent)]
    Unusable(#[from] CrdError),
}

impl CrdWatch {
    /// Finds the way to the API server, without asking it anything.
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
        Ok(Self { definitions: Api::all_with(client::client().await?, &resource), said: None })
    }

    /// Keeps `terms` up to date, for as long as it is polled.
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

    /// Reads the definition, and again whenever it changes, until the watch ends.
    async fn follow(&mut self, live: &LiveConfig) -> Result<(), CrdWatchError> {
        // Of one that is gone by now no watch would tell.
        let found = ask(self.definitions.get_opt(NAME)).await?;
        self.learn(live, found.ok_or(CrdWatchError::Absent).and_then(read));
        let params = WatchParams::default().fields(&format!("metadata.name={NAME}")).timeout(WATCH);
        let mut events = pin!(ask(self.definitions.watch(&params, "0")).await?);
        // A connection of which the other end is gone says nothing for ever.
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
        if self.said.as_ref() == Some(&news) {
            return;
        }
        match &news {
            Ok(()) => info!("the CRD in force is known"),
            Err(error) => warn!(error, "the CRD in force is unknown: writes that it refuses get its text alone"),
        }
        self.said = Some(news);
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
