//! A server process and its use of CPU and memory.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use testkit::ca::Ca;
use tokio_rustls::TlsConnector;

use super::client::{self, Connection};

/// The core of the servers. The load has the other one.
const SERVER_CORE: &str = "1";

/// The core of the load.
const LOAD_CORE: &str = "0";

/// The kind of a server.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
    /// The webhook's release binary.
    Webhook(&'a Path),
    /// The floor, a command of this program.
    Floor,
}

/// The cores of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Only the core of the servers.
    One,
    /// All cores.
    All,
}

/// A certificate pair in files, and a TLS configuration that trusts it.
pub(crate) struct Trust {
    directory: TempDir,
    pub(crate) tls: TlsConnector,
}

/// A running server process. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) started: Instant,
}

impl Trust {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let authority = Ca::new("benchmark");
        let pair = authority.server(&[client::NAME]);
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("tls.crt"), pair.certificate)?;
        fs::write(directory.path().join("tls.key"), pair.key)?;
        Ok(Self { directory, tls: client::tls(authority.certificate.as_bytes())? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Server {
    /// Starts a server. It may not listen yet.
    pub(crate) fn spawn(kind: Kind<'_>, cores: Cores, trust: &Trust) -> anyhow::Result<Self> {
        // Free a moment ago: no other program takes ports during a measurement.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let program = match kind {
            Kind::Webhook(binary) => binary.to_owned(),
            Kind::Floor => env::current_exe()?,
        };
        let mut command = match cores {
            Cores::One => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", SERVER_CORE]).arg(program);
                command
            }
            Cores::All => Command::new(program),
        };
        match kind {
            Kind::Webhook(_) => command.args(["serve", "--admin-listen", "127.0.0.1:0"]),
            Kind::Floor => command.arg("floor"),
        };
        command.arg("--listen").arg(address.to_string());
        command.arg("--tls-cert").arg(trust.path("tls.crt")).arg("--tls-key").arg(trust.path("tls.key"));
        // The log is written, as by default, but not read.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, address, started })
    }

    /// Connects as soon as the server listens.
    pub(crate) async fn connect(&mut self, trust: &Trust) -> anyhow::Result<Connection> {
        /// Far longer than any server needs.
        const DEADLINE: Duration = Duration::from_secs(20);
        /// Short compared with the start, and long enough to leave the core to the server.
        const PAUSE: Duration = Duration::from_micros(250);
        loop {
            match Connection::open(self.address, &trust.tls).await {
                Ok(connection) => return Ok(connection),
                Err(error) if self.started.elapsed() > DEADLINE => return Err(error.into()),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended: {status}");
            }
            // Not the timer of tokio, which rounds up to a millisecond.
            std::thread::sleep(PAUSE);
        }
    }

    /// CPU time of all threads so far.
    ///
    /// From the scheduler, in nanoseconds; `/proc/PID/stat` has only hundredths of a second. The time of a thread is
    /// lost when it ends, so [`Cpu::since`] compares threads one by one.
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        let times = tasks.map(|task| {
            let task = task?;
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let nanos = text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
            Ok((task.file_name().to_string_lossy().into_owned(), nanos))
        });
        Ok(Cpu(times.collect::<std::io::Result<_>>()?))
    }

    /// A line of `/proc/PID/status`, in bytes.
    pub(crate) fn memory(&self, field: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.map(|kibibytes| kibibytes << 10).with_context(|| format!("no {field} in the status of a process"))
    }

    /// Resets the peak `VmHWM`.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// CPU time of each thread in nanoseconds.
pub(crate) struct Cpu(Vec<(String, u64)>);

impl Cpu {
    /// The CPU time since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let before = |thread: &str| earlier.0.iter().find(|(name, _)| name == thread).map_or(0, |(_, nanos)| *nanos);
        Duration::from_nanos(self.0.iter().map(|(thread, nanos)| nanos.saturating_sub(before(thread))).sum())
    }
}

/// Pins this process to the core of the load.
pub(crate) fn pin_load() -> anyhow::Result<()> {
    let pid = std::process::id().to_string();
    let status = Command::new("taskset")
        .args(["--cpu-list", "--pid", LOAD_CORE, &pid])
        .stdout(Stdio::null())
        .status()
        .context("taskset is missing")?;
    anyhow::ensure!(status.success(), "two cores are needed: one for the server, one for the load");
    Ok(())
}
