//! The configuration file: loaded at the start, and reloaded on change.

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
    files::{File, FilePoller, ReloadMetrics, regular},
};

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error("{path}: cannot read file", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why reading failed.
        source: std::io::Error,
    },
    /// Its content has mistakes.
    #[error("{}", self.lines().join("; "))]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// The mistakes, at least one.
        mistakes: Vec<Mistake>,
    },
}

impl ConfigError {
    /// One line for each mistake.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        /// More at once are of no use, and would fill the log.
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

/// A configuration file, with its content when it was loaded.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    content: Vec<u8>,
    settings: Settings,
}

impl ConfigFile {
    /// Loads the file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it cannot be read or has mistakes.
    pub fn load(path: PathBuf) -> Result<Self, ConfigError> {
        let content = read(&path)?;
        let settings = parse(&path, &content)?;
        Ok(Self { path, content, settings })
    }

    /// The settings of the file.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Calls `apply` with the settings whenever the file changes. Runs until dropped.
    ///
    /// A file with mistakes is logged once, and the last valid settings stay in force until it changes again.
    pub async fn watch(self, metrics: Arc<ReloadMetrics>, mut apply: impl FnMut(&Settings)) -> Infallible {
        let Self { path, content, mut settings } = self;
        let mut poller = FilePoller::new(Some(content));
        loop {
            let file = path.clone();
            let Some(found) = poller.next(move || read(&file)).await else { continue };
            let found = match found {
                Ok(content) => {
                    let path = path.clone();
                    // On a blocking thread: finding suggestions for thousands of mistyped names takes seconds.
                    let parsed =
                        spawn_blocking(move || parse(&path, &content).map_err(|error| error.to_string())).await;
                    parsed.expect("parsing never panics")
                }
                Err(error) => Err(error),
            };
            metrics.count_reload(File::Config, found.is_ok());
            metrics.set_unusable(File::Config, found.is_err());
            match found {
                Ok(next) => {
                    apply(&next);
                    info!(changes = settings.changes(&next).join(", "), "configuration file reloaded");
                    settings = next;
                }
                Err(error) => warn!(error, "configuration file not reloaded; the last valid settings stay in force"),
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
