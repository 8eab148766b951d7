//! Reading of files that can change while the server runs.

use std::{error::Error, fs, io, path::Path, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval},
};

pub use self::metrics::{File, ReloadMetrics};
use crate::error::error_chain;

mod metrics;

/// How often files are read.
///
/// Content is polled and compared, not watched: the kubelet swaps a link two directories up, and a watch reports only the first
/// swap. The kubelet itself takes far longer to update a volume, and reading a few small files costs microseconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// Polls files, and reports when their content or the error of reading them changes.
pub(crate) struct FilePoller<T> {
    /// The last content, or the last error.
    seen: Option<Result<T, String>>,
    timer: Interval,
}

impl<T: Clone + PartialEq + Send + 'static> FilePoller<T> {
    /// A poller. The first poll reports the content, unless it equals `seen`.
    pub(crate) fn new(seen: Option<T>) -> Self {
        let mut timer = interval(INTERVAL);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { seen: seen.map(Ok), timer }
    }

    /// Waits for the next poll. Returns the result of `read` if it differs from the last one, with an error as its chain.
    pub(crate) async fn next<E: Error + 'static>(
        &mut self,
        read: impl Fn() -> Result<T, E> + Send + 'static,
    ) -> Option<Result<T, String>> {
        self.timer.tick().await;
        // An error means that the runtime is shutting down.
        let found = spawn_blocking(move || settled(read).map_err(|error| error_chain(&error))).await.ok()?;
        if self.seen.as_ref() == Some(&found) {
            return None;
        }
        self.seen = Some(found.clone());
        Some(found)
    }
}

/// The host name, which in a Pod is the name of the Pod. Empty if it is unknown.
pub(crate) fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Reads a regular file, following links. Anything else is an error, because reading a pipe or device may never end.
pub(crate) fn regular(path: &Path) -> io::Result<Vec<u8>> {
    /// Four times the maximum size of a `ConfigMap` or Secret.
    const MOST: u64 = 4 << 20;
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.len() > MOST {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    fs::read(path)
}

/// Reads until two reads agree, in case files are being written or swapped.
fn settled<T: PartialEq, E>(read: impl Fn() -> Result<T, E>) -> Result<T, E> {
    /// More changes within microseconds do not happen in practice. If they do, validation fails and the next poll reads again.
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
