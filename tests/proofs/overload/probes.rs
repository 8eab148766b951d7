//! The results of kubelet's probes during an attack.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Probes as kubelet sends them, only more often: each on a connection of its own, with kubelet's timeout.
#[derive(Default)]
pub(crate) struct Probes {
    took: Vec<Duration>,
    failed: Vec<String>,
}

impl Probes {
    /// Probes until `meanwhile` is done.
    pub(crate) fn probe<T>(&mut self, admin: SocketAddr, meanwhile: impl FnOnce() -> T) -> T {
        /// Between two probes.
        const PAUSE: Duration = Duration::from_millis(50);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let probing = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for path in ["/livez", "/readyz"] {
                        self.note(admin, path);
                    }
                    thread::park_timeout(PAUSE);
                }
            });
            let _stop = Stop(&stop, probing.thread());
            meanwhile()
        })
    }

    fn note(&mut self, admin: SocketAddr, path: &str) {
        let started = Instant::now();
        match answer(admin, path) {
            Ok(text) if text.starts_with("HTTP/1.1 200 ") => self.took.push(started.elapsed()),
            Ok(text) => self.failed.push(format!("{path}: {text}")),
            Err(error) => self.failed.push(format!("{path}: {error} after {:?}", started.elapsed())),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.took.len() + self.failed.len()
    }

    /// In which time 99 of a hundred are answered.
    pub(crate) fn p99(&mut self) -> Duration {
        self.took.sort_unstable();
        p99(&self.took)
    }

    /// What was not as it must be.
    pub(crate) fn broken(&self) -> Vec<String> {
        let failed = self.failed.iter().take(3).map(|failed| format!("a probe has failed: {failed}"));
        failed.chain((self.took.is_empty()).then(|| "no probe was answered".to_owned())).collect()
    }
}

/// Of what is sorted.
pub(crate) fn p99(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
}

fn answer(admin: SocketAddr, path: &str) -> io::Result<String> {
    /// As a probe has it by default, from its beginning to its end.
    const TIMEOUT: Duration = Duration::from_secs(1);
    let started = Instant::now();
    let left = || TIMEOUT.checked_sub(started.elapsed()).filter(|left| !left.is_zero()).ok_or(io::ErrorKind::TimedOut);
    let mut stream = TcpStream::connect_timeout(&admin, TIMEOUT)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let (mut text, mut part) = (Vec::new(), [0; 1024]);
    loop {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut part)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            count => text.extend_from_slice(&part[..count]),
        }
    }
}

/// Stops the prober when it is dropped, also if the proof fails.
struct Stop<'s>(&'s AtomicBool, &'s thread::Thread);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.unpark();
    }
}
