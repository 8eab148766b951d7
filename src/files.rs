//! Reading files: those that are read again while serving, and what the system tells in one.

use std::{error::Error, fs, io, path::Path, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval},
};

use crate::error::error_chain;

/// How often files are read.
///
/// Content is compared, not watched: kubelet swaps a link two directories up, of which a watch sees the first swap alone. A
/// rotation gives minutes, whoever edits a file waits for kubelet far longer, and reading a few small files costs microseconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks at files, one after the other.
pub(crate) struct FilePoller<T> {
    /// What was found last, or why nothing was.
    seen: Option<Result<T, String>>,
    timer: Interval,
}

impl<T: Clone + PartialEq + Send + 'static> FilePoller<T> {
    /// Looks of which the first finds news, unless it is what was `seen` already.
    pub(crate) fn new(seen: Option<T>) -> Self {
        let mut timer = interval(INTERVAL);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { seen: seen.map(Ok), timer }
    }

    /// The next look: what `read` finds, or its error and the causes, where that is not what the last look found.
    pub(crate) async fn next<E: Error + 'static>(
        &mut self,
        read: impl Fn() -> Result<T, E> + Send + 'static,
    ) -> Option<Result<T, String>> {
        self.timer.tick().await;
        // An error says that the runtime is going down, and this with it.
        let found = spawn_blocking(move || settled(read).map_err(|error| error_chain(&error))).await.ok()?;
        if self.seen.as_ref() == Some(&found) {
            return None;
        }
        self.seen = Some(found.clone());
        Some(found)
    }
}

/// The name of this host, which in a Pod is the Pod's; empty where the system does not tell it.
pub(crate) fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// The content of a regular file, to which links may lead: reading anything else may never end.
pub(crate) fn regular(path: &Path) -> io::Result<Vec<u8>> {
    /// Four times what a `ConfigMap` or a Secret can hold.
    const MOST: u64 = 4 << 20;
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it must be a regular file"));
    }
    if metadata.len() > MOST {
        return Err(io::Error::other("it must have at most 4 MiB"));
    }
    fs::read(path)
}

/// What files hold, read again where they were written or swapped meanwhile.
fn settled<T: PartialEq, E>(read: impl Fn() -> Result<T, E>) -> Result<T, E> {
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
