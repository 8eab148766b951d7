//! The log of `serve`. Writing a line never blocks.
//!
//! Written by hand: the non-blocking writer of `tracing-appender` bounds the number of waiting lines (128,000 by default), not
//! their bytes, and writes them one by one.

use std::{
    io::{self, IsTerminal as _, Write, stderr},
    mem,
    panic::{self, Location},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use clap::ValueEnum;
use prometheus_client::metrics::counter::Counter;
use tracing::{error, level_filters::LevelFilter};

mod line;

/// The format of log lines.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

/// The minimum log level.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::OFF,
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
        }
    }
}

/// A bounded buffer of lines for standard error.
///
/// Standard error can be a pipe without a reader, a full disk, or closed. So a thread of its own writes to it, logging never
/// waits for that thread, and lines above the bound are dropped and counted.
struct Log {
    lines: Mutex<Lines>,
    changed: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    /// Whether the thread is writing, or about to write.
    writing: bool,
}

/// Keeps the log running. When dropped, waits up to a second for the last lines to be written.
#[must_use]
pub(super) struct Started(Arc<Log>);

/// Starts the log of the process.
///
/// # Errors
///
/// If the thread cannot be started.
pub(super) fn start(format: Format, level: Level, dropped: Counter) -> io::Result<Started> {
    let log = Arc::new(Log { lines: Mutex::default(), changed: Condvar::new(), dropped });
    let writer = Arc::clone(&log);
    thread::Builder::new().name("log".into()).spawn(move || writer.write())?;
    let colors = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from(level))
        .with_writer(Arc::clone(&log))
        .log_internal_errors(false)
        .with_ansi(colors)
        .event_format(format)
        .init();
    // The default hook writes to standard error, which may block, and prints the panic message, which may quote an object.
    panic::set_hook(Box::new(|panic| {
        error!(location = panic.location().map(Location::to_string), "panic");
    }));
    Ok(Started(log))
}

impl Log {
    /// The loop of the writing thread.
    fn write(&self) {
        /// How long to collect lines for one write. Too short to notice, and under load hundreds of lines.
        const GATHER: Duration = Duration::from_millis(5);
        let mut batch = Vec::new();
        loop {
            let mut lines = self.lines();
            lines.writing = false;
            self.changed.notify_all();
            let idle = self.changed.wait_while(lines, |lines| lines.waiting.is_empty());
            let mut lines = idle.unwrap_or_else(PoisonError::into_inner);
            lines.writing = true;
            drop(lines);
            thread::sleep(GATHER);
            mem::swap(&mut self.lines().waiting, &mut batch);
            if stderr().write_all(&batch).is_err() {
                for _ in batch.iter().filter(|byte| **byte == b'\n') {
                    self.dropped.inc();
                }
            }
            batch.clear();
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts a whole line, or drops it.
impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        /// More than two thousand reviews, enough until a live reader reads again.
        const MOST: usize = 1 << 20;
        let mut lines = self.lines();
        if lines.waiting.len() + line.len() > MOST {
            self.dropped.inc();
        } else {
            lines.waiting.extend_from_slice(line);
            if !lines.writing {
                self.changed.notify_all();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        /// A live reader is never further behind.
        const LAST_LINES: Duration = Duration::from_secs(1);
        let unwritten = |lines: &mut Lines| lines.writing || !lines.waiting.is_empty();
        drop(self.0.changed.wait_timeout_while(self.0.lines(), LAST_LINES, unwritten));
    }
}
