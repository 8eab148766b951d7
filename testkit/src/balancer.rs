//! What a Service does: its connections go to its Pods in turn.

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

/// Listens at the address of a Service, and knows nothing of TLS.
pub(crate) struct Balancer {
    backends: Arc<Backends>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Backends {
    list: Mutex<Vec<Arc<Backend>>>,
    turn: AtomicUsize,
    refused: AtomicU64,
}

/// Where a Pod listens, and what came of it.
pub(crate) struct Backend {
    address: SocketAddr,
    /// Connections there ever were, and those that have ended.
    opened: AtomicU64,
    closed: AtomicU64,
    owed: AtomicU64,
}

/// Whether the API server waits for an answer on a connection, as far as can be told without looking into TLS.
struct Call<'b> {
    backend: &'b Backend,
    /// Whether the server has said anything: the handshake is then over, but for what the API server sends with a review.
    is_open: AtomicBool,
    /// Bytes from the API server since anything came back.
    unanswered: AtomicUsize,
}

impl Balancer {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let listener = runtime.block_on(TcpListener::bind(address)).expect("the Service's address is free");
        let backends = Arc::new(Backends::default());
        let shared = Arc::clone(&backends);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let backends = Arc::clone(&shared);
                // It ends with one of its ends, or with the runtime.
                tokio::spawn(async move {
                    if let Some((backend, server)) = backends.connect().await {
                        drop(Call::new(&backend).carry(client, server).await);
                    }
                });
            }
        });
        Self { backends, _runtime: runtime }
    }

    /// Sends connections there, too.
    pub(crate) fn add(&self, address: SocketAddr) -> Arc<Backend> {
        let count = || AtomicU64::new(0);
        let backend = Arc::new(Backend { address, opened: count(), closed: count(), owed: count() });
        self.backends.list().push(Arc::clone(&backend));
        backend
    }

    /// Sends no more connections there; those that are open stay.
    pub(crate) fn remove(&self, backend: &Backend) {
        self.backends.list().retain(|known| known.address != backend.address);
    }

    /// How many connections a Pod has refused: what sends packets for a Service would not have found another.
    pub(crate) fn refused(&self) -> u64 {
        self.backends.refused.load(Ordering::Relaxed)
    }
}

impl Backend {
    /// How many calls wait for an answer.
    pub(crate) fn owed(&self) -> u64 {
        self.owed.load(Ordering::Relaxed)
    }

    /// How many connections there ever were.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// How many connections have ended.
    pub(crate) fn closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// How many connections were open when so many had ended, or were opened later.
    pub(crate) fn open_since(&self, closed: u64) -> u64 {
        self.opened() - closed
    }
}

impl Backends {
    /// The next in turn, but for those that refuse.
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

    /// Carries bytes both ways until the server closes, or either is gone.
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

/// Shorter than any review, and longer than the end of a handshake or of a connection.
const REVIEW: usize = 500;

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.is_answered();
        self.backend.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// More than a review of these tests has.
const BUFFER: usize = 16 << 10;
