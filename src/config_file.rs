//! The configuration file: read at the start, and again whenever it changes.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::{
    config::{Mistake, Settings},
    error::error_chain,
    files::{FilePoller, regular},
    metrics::{File, Metrics},
};

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error("{path}: cannot be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It says what cannot be.
    #[error("{}", self.lines().join("; "))]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, at least one.
        mistakes: Vec<Mistake>,
    },
}

impl ConfigError {
    /// A line for each thing that is wrong, its cause with it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        /// More at a time help nobody, and would fill the log.
        const MOST: usize = 50;
        match self {
            Self::Read { .. } => vec![error_chain(self)],
            Self::Mistakes { path, mistakes } => {
                let lines = mistakes.iter().take(MOST).map(|mistake| format!("{}: {mistake}", path.display()));
                let more = mistakes.len().saturating_sub(MOST);
                let more = (more > 0).then(|| format!("{}: {more} more mistakes", path.display()));
                lines.chain(more).collect()
            }
        }
    }
}

/// A configuration file, and what it held when it was read.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    content: Vec<u8>,
    settings: Settings,
}

impl ConfigFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it cannot be read, or has mistakes.
    pub fn load(path: PathBuf) -> Result<Self, ConfigError> {
        let content = read(&path)?;
        let settings = parse(&path, &content)?;
        Ok(Self { path, content, settings })
    }

    /// What it says.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Calls `apply` with what the file says whenever it changes, for as long as it is polled.
    ///
    /// What cannot be used is told once, and what was applied last stays until the file changes again.
    pub async fn watch(self, metrics: Arc<Metrics>, mut apply: impl FnMut(&Settings)) -> Infallible {
        let Self { path, content, mut settings } = self;
        let mut poller = FilePoller::new(Some(content));
        loop {
            let file = path.clone();
            let Some(found) = poller.next(move || read(&file)).await else { continue };
            let found = match found {
                Ok(content) => {
                    let path = path.clone();
                    // Not on a thread that answers reviews: what was meant by thousands of mistyped names takes seconds.
                    let parsed =
                        spawn_blocking(move || parse(&path, &content).map_err(|error| error.to_string())).await;
                    parsed.expect("no content makes parsing panic")
                }
                Err(error) => Err(error),
            };
            metrics.files.count_reload(File::Config, found.is_ok());
            metrics.files.set_unusable(File::Config, found.is_err());
            match found {
                Ok(next) => {
                    apply(&next);
                    info!(changes = settings.changes(&next).join(", "), "configuration file replaced");
                    settings = next;
                }
                Err(error) => warn!(error, "configuration file not replaced, the last good one holds"),
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    regular(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

fn parse(path: &Path, content: &[u8]) -> Result<Settings, ConfigError> {
    Settings::parse(content).map_err(|mistakes| ConfigError::Mistakes { path: path.to_owned(), mistakes })
}
