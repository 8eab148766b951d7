//! Clients that hold connections, memory and time without a review, or with too many.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{bodies::BODIES, profiles::good};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, sink, split},
    runtime,
    task::LocalSet,
    time::sleep,
};

use super::{
    caller::{Caller, head, lasting, request},
    close,
    target::Target,
};
use crate::account::Account;

/// A number of connections of each kind. Each that the server closes is replaced.
pub(crate) struct Attack {
    what: &'static str,
    ways: &'static [Way],
    connections: usize,
    /// The minimum of connections that the server closes. With fewer it was no attack.
    ended: usize,
}

/// The behavior of a connection.
#[derive(Clone, Copy)]
enum Way {
    /// Headers come byte by byte.
    SlowHeaders,
    /// A body of 100 KB comes byte by byte.
    SlowBody,
    /// 8 MiB are announced, and more comes than a connection's share, but nothing after that.
    StalledBody,
    /// TLS is spoken, and no more.
    Idle,
    /// Not even that.
    Silent,
    /// The first bytes of a handshake come.
    HalfHello,
    /// They come, and it is said that no more will.
    HalfClosed,
    /// A sound review of 2.4 MB.
    Large,
    /// A review that makes a large answer, which is not read.
    Unread,
}

/// Those that take memory which is given back at once come first.
pub(crate) const ATTACKS: [Attack; 7] = [
    Attack { what: "64 send reviews of 2.4 MB", ways: &[Way::Large], connections: 64, ended: 20 },
    Attack { what: "400 read no answer, which has 50 KB", ways: &[Way::Unread], connections: 400, ended: 400 },
    Attack { what: "1000 send headers byte by byte", ways: &[Way::SlowHeaders], connections: 1000, ended: 100 },
    Attack { what: "1000 send bodies byte by byte", ways: &[Way::SlowBody], connections: 1000, ended: 100 },
    Attack {
        what: "1000 announce 8 MiB, send 17 KB and stall",
        ways: &[Way::StalledBody],
        connections: 1000,
        ended: 100,
    },
    Attack {
        what: "1500 speak no TLS, half a handshake, or end there",
        ways: &[Way::Silent, Way::HalfHello, Way::HalfClosed],
        connections: 500,
        ended: 500,
    },
    Attack {
        what: "2300 are idle, 250 more than `--max-connections`",
        ways: &[Way::Idle],
        connections: 2300,
        ended: 250,
    },
];

/// As the Deployment has it.
const MOST_CONNECTIONS: u64 = 2048;

impl Attack {
    /// Attacks for longer than the longest timeout of the server. Returns a line for each broken promise.
    pub(crate) fn made(&self, target: &Target<'_>, account: &mut Account<'_>) -> Vec<String> {
        const TIME: Duration = Duration::from_secs(14);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let writers = target.writers(good_or_large);
        let ended = Rc::new(Cell::new(0));
        let (caller, requests) = (target.caller(), Rc::new(Requests::new()));
        let mut most = 0;
        account.skip(&writers);
        let measured = target.measured(|| {
            writers.write(|| {
                let attackers = LocalSet::new();
                for way in self.ways {
                    for _ in 0..self.connections {
                        attackers.spawn_local(attack(*way, caller.clone(), Rc::clone(&requests), Rc::clone(&ended)));
                    }
                }
                let started = Instant::now();
                runtime.block_on(attackers.run_until(async {
                    while started.elapsed() < TIME {
                        sleep(Duration::from_millis(500)).await;
                        target.sample();
                        most = most.max(target.metric("open_connections"));
                    }
                }));
            });
        });
        let mut broken = close(self.what, measured, account, &writers);
        if ended.get() < self.ended {
            broken.push(format!("{}: the server has ended {} connections alone", self.what, ended.get()));
        }
        if most > MOST_CONNECTIONS {
            broken.push(format!("{}: {most} connections are open", self.what));
        }
        broken
    }
}

/// What is sent whole, made once.
struct Requests {
    large: Vec<u8>,
    mended: Vec<u8>,
}

impl Requests {
    fn new() -> Self {
        Self { large: request(&BODIES[2].1()), mended: lasting("/mutate?timeout=10s", &mended()) }
    }
}

/// As much to fill in as is filled in: an empty item has the most.
fn mended() -> Vec<u8> {
    /// Past 500 fixes of an object there are none.
    const ITEMS: usize = 240;
    let mut profile = good("unread");
    profile["status"] = json!({"conditions": vec![json!({}); ITEMS]});
    let resource = json!({"group": "multicluster.x-k8s.io", "version": "v1alpha1", "kind": "ClusterProfile"});
    let request = json!({
        "uid": "00000000-0000-4000-8000-000000000000",
        "kind": resource,
        "namespace": "fleet",
        "name": "unread",
        "operation": "UPDATE",
        "subResource": "status",
        "object": profile,
        "oldObject": good("unread"),
    });
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    review.to_string().into_bytes()
}

async fn attack(way: Way, caller: Caller, requests: Rc<Requests>, ended: Rc<Cell<usize>>) {
    /// The shortest time between two attempts of a refused client.
    const PAUSE: Duration = Duration::from_millis(50);
    loop {
        drop(way.connection(&caller, &requests).await);
        ended.set(ended.get() + 1);
        sleep(PAUSE).await;
    }
}

impl Way {
    /// From a connection's begin to its end, which the server must bring about.
    async fn connection(self, caller: &Caller, requests: &Requests) -> io::Result<()> {
        /// The first bytes of a handshake record of 512 bytes.
        const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00";
        /// Bytes of the least receive buffer that Linux gives.
        const SMALLEST: u32 = 2304;
        match self {
            Self::SlowHeaders => dribble(caller, "POST /validate HTTP/1.1\r\nX-Slow: ").await,
            Self::SlowBody => dribble(caller, &head(100_000)).await,
            Self::StalledBody => {
                let mut stream = caller.connect().await?;
                stream.write_all(head(8 << 20).as_bytes()).await?;
                stream.write_all(&vec![b' '; 17_000]).await?;
                stream.flush().await?;
                until_its_end(stream).await
            }
            Self::Idle => until_its_end(caller.connect().await?).await,
            Self::Silent => until_its_end(caller.open().await?).await,
            Self::HalfHello | Self::HalfClosed => {
                let mut stream = caller.open().await?;
                stream.write_all(HELLO).await?;
                if matches!(self, Self::HalfClosed) {
                    stream.shutdown().await?;
                }
                until_its_end(stream).await
            }
            Self::Large => caller.call(&requests.large).await.map(drop),
            Self::Unread => {
                let mut stream = caller.receiving(SMALLEST).connect().await?;
                stream.write_all(&requests.mended).await?;
                stream.flush().await?;
                // Nothing is read. A failed write shows that the server has given up.
                until_refused(stream).await
            }
        }
    }
}

/// Sends a beginning at once, and what follows byte by byte.
async fn dribble(caller: &Caller, beginning: &str) -> io::Result<()> {
    /// Two thousand bytes a second, of as many as attack, take little of a core.
    const PAUSE: Duration = Duration::from_millis(500);
    let (from_server, mut to_server) = split(caller.connect().await?);
    let send = async {
        to_server.write_all(beginning.as_bytes()).await?;
        loop {
            to_server.flush().await?;
            sleep(PAUSE).await;
            to_server.write_all(b"x").await?;
        }
    };
    tokio::select! {
        ended = until_its_end(from_server) => ended,
        failed = send => failed,
    }
}

/// Waits until the server takes nothing any more, of a request that it does not come to.
async fn until_refused(mut stream: impl AsyncWrite + Unpin) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(500);
    loop {
        sleep(PAUSE).await;
        stream.write_all(b"G").await?;
        stream.flush().await?;
    }
}

pub(crate) async fn until_its_end(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    copy(&mut stream, &mut sink()).await.map(drop)
}

/// Of ten profiles one has 30 KB, more than a connection's share.
fn good_or_large(name: &str) -> Value {
    let mut profile = good(name);
    if name.ends_with('0') {
        profile["metadata"]["annotations"] = json!({"example.com/padding": "x".repeat(30_000)});
    }
    profile
}
