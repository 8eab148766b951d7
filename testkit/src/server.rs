//! The real server in the process of the test.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
};

use clusterprofile_webhook::{
    metrics::Metrics,
    server::{self, Config},
    tls::{self, Certificates, Files},
};
use tokio::{net::TcpListener, sync::mpsc};

/// A running server on a thread of its own. Dropping it stops it, and panics if it has panicked.
///
/// To run the binary instead, use [`Replica`](crate::replica::Replica).
pub struct Server {
    pub address: SocketAddr,
    /// The address of probes and metrics.
    pub admin: SocketAddr,
    /// The CA certificate of the server, PEM.
    pub ca: Vec<u8>,
    stop: mpsc::UnboundedSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves with a development certificate on a free port.
    pub fn start(config: Config) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let ca = directory.path().join("ca.crt");
        let pair = tls::dev_pair(&ca).expect("a pair can be made");
        Self::start_with(config, Certificates::new(pair), None, std::fs::read(ca).expect("the CA was written"))
    }

    /// Serves with `certificates` on a free port, and reloads `files` when they change.
    pub fn start_with(config: Config, certificates: Certificates, files: Option<Files>, ca: Vec<u8>) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), config, certificates, files, ca)
    }

    /// As [`Server::start_with`], at `address`. Port 0 stands for a free port.
    pub fn start_at(
        address: SocketAddr,
        config: Config,
        certificates: Certificates,
        files: Option<Files>,
        ca: Vec<u8>,
    ) -> Self {
        let (stop, mut stopped) = mpsc::unbounded_channel();
        let (bound, addresses) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.expect("the address is free");
                let admin = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                let address = |listener: &TcpListener| listener.local_addr().expect("it is bound");
                bound.send((address(&listener), address(&admin))).expect("the caller waits for it");
                let (certificates, metrics) = (Arc::new(certificates), Metrics::default());
                if let Some(files) = files {
                    tokio::spawn(tls::watch(files, Arc::clone(&certificates), Arc::clone(&metrics.reloads)));
                }
                if let Some(callers) = &config.callers {
                    tokio::spawn(tls::watch_callers(Arc::clone(callers), Arc::clone(&metrics.reloads)));
                }
                let stop = async || stopped.recv().await.unwrap_or_default();
                server::serve(listener, admin, certificates, metrics.server, config, stop)
                    .await
                    .expect("the server can be configured");
            });
        });
        let (address, admin) = addresses.recv().expect("the server binds its ports");
        Self { address, admin, ca, stop, thread: Some(thread) }
    }

    /// Starts the drain, as SIGTERM does, and returns. A second call ends the drain.
    pub fn stop(&self) {
        let _ = self.stop.send(());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("the server ends without a panic");
            }
        }
    }
}

/// The value of a series in the metrics of the server. `series` has no `clusterprofile_webhook_` prefix.
pub fn value_of(admin: SocketAddr, series: &str) -> u64 {
    let begin = format!("clusterprofile_webhook_{series} ");
    let metrics = get(admin, "/metrics");
    metrics.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok()).expect(series)
}

/// Sends a GET request to the admin listener, and returns head and body of the response.
pub fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the admin listener is there");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the answer is text");
    text
}
