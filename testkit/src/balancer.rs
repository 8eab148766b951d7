//! A Service: a TCP proxy that connects to Pods in turn.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// Listens at the address of a Service and forwards connections to its backends, without reading TLS.
pub struct Balancer {
    backends: Arc<Backends>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Backends {
    list: Mutex<Vec<Arc<Backend>>>,
    turn: AtomicUsize,
    refused: AtomicU64,
}

/// A Pod behind the Service, and counts of its connections.
pub struct Backend {
    address: SocketAddr,
    opened: AtomicU64,
    closed: AtomicU64,
    owed: AtomicU64,
}

/// A connection of the API server. From the sizes of what is sent, it guesses whether a review waits for its response.
struct Call<'b> {
    backend: &'b Backend,
    /// Whether the server has sent anything. The handshake is then over, except for what the API server sends with a
    /// review.
    is_open: AtomicBool,
    /// Bytes from the API server since the server last sent something.
    unanswered: AtomicUsize,
}

impl Balancer {
    /// Listens at `address`, without backends.
    pub fn start(address: SocketAddr) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let listener = runtime.block_on(TcpListener::bind(address)).expect("the Service's address is free");
        let backends = Arc::new(Backends::default());
        let shared = Arc::clone(&backends);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let backends = Arc::clone(&shared);
                // The task ends with its connection, or with the runtime.
                tokio::spawn(async move {
                    if let Some((backend, server)) = backends.connect().await {
                        drop(Call::new(&backend).carry(client, server).await);
                    }
                });
            }
        });
        Self { backends, _runtime: runtime }
    }

    /// Adds a backend.
    pub fn add(&self, address: SocketAddr) -> Arc<Backend> {
        let count = || AtomicU64::new(0);
        let backend = Arc::new(Backend { address, opened: count(), closed: count(), owed: count() });
        self.backends.list().push(Arc::clone(&backend));
        backend
    }

    /// Sends no more connections to a backend. Open ones continue.
    pub fn remove(&self, backend: &Backend) {
        self.backends.list().retain(|known| known.address != backend.address);
    }

    /// The number of connections that a Pod has refused. A real Service would not have tried another Pod.
    pub fn refused(&self) -> u64 {
        self.backends.refused.load(Ordering::Relaxed)
    }
}

impl Backend {
    /// The number of reviews that wait for a response.
    pub fn owed(&self) -> u64 {
        self.owed.load(Ordering::Relaxed)
    }

    /// The number of connections since the start.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// The number of connections that have ended.
    pub fn closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// The number of connections that were open when `closed` of them had ended, or were opened later.
    pub fn open_since(&self, closed: u64) -> u64 {
        self.opened() - closed
    }
}

impl Backends {
    /// Connects to the next backend in turn, and skips those that refuse.
    async fn connect(&self) -> Option<(Arc<Backend>, TcpStream)> {
        let list = self.list().clone();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        for backend in list.iter().cycle().skip(turn % list.len().max(1)).take(list.len()) {
            if let Ok(server) = TcpStream::connect(backend.address).await {
                return Some((Arc::clone(backend), server));
            }
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        None
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Backend>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'b> Call<'b> {
    fn new(backend: &'b Backend) -> Self {
        backend.opened.fetch_add(1, Ordering::Relaxed);
        Self { backend, is_open: AtomicBool::new(false), unanswered: AtomicUsize::new(0) }
    }

    /// Forwards bytes in both directions until one side closes.
    async fn carry(&self, mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
        for end in [&client, &server] {
            end.set_nodelay(true)?;
        }
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let asks = async {
            let mut bytes = vec![0; BUFFER];
            loop {
                match from_client.read(&mut bytes).await? {
                    0 => return to_server.shutdown().await,
                    count => {
                        self.is_asked(count);
                        to_server.write_all(bytes.get(..count).unwrap_or_default()).await?;
                    }
                }
            }
        };
        let answers = async {
            let mut bytes = vec![0; BUFFER];
            loop {
                match from_server.read(&mut bytes).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    count => {
                        self.is_answered();
                        to_client.write_all(bytes.get(..count).unwrap_or_default()).await?;
                    }
                }
            }
        };
        tokio::try_join!(asks, answers).map(|((), ())| ())
    }

    fn is_asked(&self, bytes: usize) {
        if self.is_open.load(Ordering::Relaxed) {
            let before = self.unanswered.fetch_add(bytes, Ordering::Relaxed);
            if before < REVIEW && before + bytes >= REVIEW {
                self.backend.owed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn is_answered(&self) {
        self.is_open.store(true, Ordering::Relaxed);
        if self.unanswered.swap(0, Ordering::Relaxed) >= REVIEW {
            self.backend.owed.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Bytes: less than any review, and more than the end of a handshake or of a connection.
const REVIEW: usize = 500;

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.is_answered();
        self.backend.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Bytes: more than a review of these tests.
const BUFFER: usize = 16 << 10;
