//! Clients that keep opening connections, get one 404 on each, and leave it open.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
    time::{Duration, Instant},
};

use testkit::{bodies::BODIES, profiles::good};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt as _},
    runtime,
    task::LocalSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    attacks::until_its_end,
    caller::{Caller, NAME, lasting},
    close,
    target::Target,
};
use crate::account::Account;

/// Churners, and where they come from.
pub(crate) struct Churn {
    what: &'static str,
    from: &'static [IpAddr],
}

/// The API server's own, on this machine.
const API_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// In the last one attacker and API server are behind one address, as behind NAT.
pub(crate) const CHURNS: [Churn; 3] = [
    Churn { what: "600 connections a second from one address, each answered 404 once", from: &[other(3)] },
    Churn {
        what: "600 connections a second from eight addresses, each answered 404 once",
        from: &[other(3), other(4), other(5), other(6), other(7), other(8), other(9), other(10)],
    },
    Churn { what: "600 connections a second from the API server's own address", from: &[API_SERVER] },
];

const fn other(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, host))
}

/// What came of the attack, and of connections that were kept beside it.
#[derive(Default)]
struct Met {
    opened: Cell<usize>,
    refused: Cell<usize>,
    ended: Cell<usize>,
    reviewed: Cell<usize>,
    lost: RefCell<Vec<String>>,
}

impl Churn {
    /// Runs until each connection slot was used several times. Returns a line for each broken promise.
    pub(crate) fn made(&self, target: &Target<'_>, account: &mut Account<'_>) -> Vec<String> {
        const TIME: Duration = Duration::from_secs(15);
        /// Connections of the API server's address beside its own, each of which has a review answered now and then.
        const KEPT: usize = 200;
        /// On a machine that is busy otherwise it may be half as much.
        const LEAST: usize = 4500;
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let writers = target.writers(good);
        let met = Rc::new(Met::default());
        let caller = target.caller();
        account.skip(&writers);
        let measured = target.measured(|| {
            writers.write(|| {
                let callers = LocalSet::new();
                for number in 0..KEPT {
                    callers.spawn_local(keep(caller.from(API_SERVER), number, Rc::clone(&met)));
                }
                callers.spawn_local(churn(caller.clone(), self.from, Rc::clone(&met)));
                let started = Instant::now();
                runtime.block_on(callers.run_until(async {
                    while started.elapsed() < TIME {
                        sleep(Duration::from_millis(500)).await;
                        target.sample();
                    }
                }));
            });
        });
        let Met { opened, refused, ended, reviewed, lost } = &*met;
        println!(
            "{}: {} opened, {} refused, {} ended by the server; {} reviews on {KEPT} kept connections, {} lost",
            self.what,
            opened.get(),
            refused.get(),
            ended.get(),
            reviewed.get(),
            lost.borrow().len()
        );
        let mut broken = close(self.what, measured, account, &writers);
        if opened.get() < LEAST || ended.get() == 0 {
            broken.push(format!("{}: {} connections are no churn", self.what, opened.get()));
        }
        if reviewed.get() < KEPT {
            broken.push(format!("{}: {} reviews on kept connections", self.what, reviewed.get()));
        }
        broken.extend(lost.borrow().iter().take(3).map(|lost| format!("{}: a kept connection: {lost}", self.what)));
        broken
    }
}

/// Opens six connections every ten milliseconds.
async fn churn(caller: Caller, from: &'static [IpAddr], met: Rc<Met>) {
    const EVERY: Duration = Duration::from_millis(10);
    const AT_ONCE: usize = 6;
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sources = from.iter().cycle();
    loop {
        clock.tick().await;
        for _ in 0..AT_ONCE {
            let Some(from) = sources.next() else { return };
            let (caller, met) = (caller.from(*from), Rc::clone(&met));
            drop(tokio::task::spawn_local(async move {
                if open(&caller, &met).await.is_err() {
                    met.refused.set(met.refused.get() + 1);
                }
            }));
        }
    }
}

/// A connection that is answered once, and then stays for as long as the server lets it.
async fn open(caller: &Caller, met: &Met) -> io::Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    let request = format!("GET /x HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    let stream = timeout(TIMEOUT, async {
        let mut stream = caller.connect().await?;
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        stream.read_u8().await?;
        io::Result::Ok(stream)
    });
    let stream = stream.await??;
    met.opened.set(met.opened.get() + 1);
    drop(until_its_end(stream).await);
    met.ended.set(met.ended.get() + 1);
    Ok(())
}

/// Has a review answered on one connection, again and again.
async fn keep(caller: Caller, number: usize, met: Rc<Met>) {
    /// Longer than a new connection lives where all places are taken.
    const PAUSE: Duration = Duration::from_secs(4);
    const STAGGER: Duration = Duration::from_millis(20);
    let request = lasting("/validate?timeout=10s", &BODIES[0].1());
    sleep(STAGGER * u32::try_from(number).expect("they are few")).await;
    let kept = async {
        let mut stream = caller.connect().await?;
        loop {
            stream.write_all(&request).await?;
            stream.flush().await?;
            answer(&mut stream).await?;
            met.reviewed.set(met.reviewed.get() + 1);
            sleep(PAUSE).await;
        }
    };
    let Err(lost): io::Result<()> = kept.await else { return };
    met.lost.borrow_mut().push(lost.to_string());
}

/// Reads the answer to a review, and no more.
async fn answer(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<()> {
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(head.to_owned()));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if length == Some(body.len()) {
            return Ok(());
        }
    }
}
