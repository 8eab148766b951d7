//! `memory`: resident memory of the webhook on all cores, where more reviews run at a time than on one.

use std::{path::Path, sync::Arc, thread::sleep, time::Duration};

use serde::Serialize;
use testkit::bodies::BODIES;

use super::{
    client::{Connection, request},
    load, report, runtime,
    server::{Cores, Kind, Server, Trust},
};

#[derive(Serialize)]
struct Figures {
    /// A second after the start, before any connection.
    fresh: u64,
    /// A second after the first review.
    idle: u64,
    /// The peak with 64 concurrent large reviews.
    large_peak: u64,
    /// A minute later, with all connections open.
    large_after: u64,
    /// The peak over the mixed reviews.
    mixed_peak: u64,
    /// After each tenth of the mixed reviews.
    mixed: Vec<u64>,
    /// A minute later.
    mixed_after: u64,
}

/// Concurrent large reviews.
const SIMULTANEOUS: usize = 64;

/// Reviews of all sizes.
const MIXED: usize = 100_000;

const MINUTE: Duration = Duration::from_mins(1);

pub(crate) fn run(webhook: &Path) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let figures = runtime.block_on(measure(webhook))?;
    report::write("memory", 1, &figures)
}

async fn measure(webhook: &Path) -> anyhow::Result<Figures> {
    let trust = Trust::new()?;
    let mut server = Server::spawn(Kind::Webhook(webhook), Cores::All, &trust)?;
    let requests = |body: usize| {
        let bytes = BODIES.get(body).map(|(_, make)| make()).unwrap_or_default();
        ["/mutate", "/validate"].map(|path| request(path, &bytes))
    };
    let (small, middle, large) = (requests(0), requests(1), requests(2));

    sleep(Duration::from_secs(1));
    let fresh = show("idle, before any connection", server.memory("VmRSS")?);
    let mut connections = vec![server.connect(&trust).await?];
    load::closed(&mut connections, &Arc::from(small.clone()), 2).await?;
    sleep(Duration::from_secs(1));
    let idle = show("idle, after its first reviews", server.memory("VmRSS")?);

    server.forget_peak()?;
    open(&mut connections, &mut server, &trust, SIMULTANEOUS).await?;
    load::closed(&mut connections, &Arc::from(large.clone()), 5 * SIMULTANEOUS).await?;
    let large_peak = show("peak of 320 reviews of 2.4 MB, 64 at a time", server.memory("VmHWM")?);
    sleep(MINUTE);
    let large_after = show("a minute later", server.memory("VmRSS")?);

    // Of a hundred reviews, one is large and twenty are medium, half of each on either path.
    let hundred = (0..100).flat_map(|turn| {
        let [mutate, validate] = match turn {
            50 => &large,
            turn if turn % 5 == 0 => &middle,
            _ => &small,
        };
        [mutate.clone(), validate.clone()]
    });
    let hundred: Arc<[Vec<u8>]> = hundred.collect();
    server.forget_peak()?;
    let mut mixed = Vec::new();
    for tenth in 1..=10 {
        load::closed(&mut connections, &hundred, MIXED / 10).await?;
        mixed.push(show(&format!("after {} mixed reviews", tenth * MIXED / 10), server.memory("VmRSS")?));
    }
    let mixed_peak = show("their peak", server.memory("VmHWM")?);
    sleep(MINUTE);
    let mixed_after = show("a minute later", server.memory("VmRSS")?);
    Ok(Figures { fresh, idle, large_peak, large_after, mixed_peak, mixed, mixed_after })
}

async fn open(
    connections: &mut Vec<Connection>,
    server: &mut Server,
    trust: &Trust,
    count: usize,
) -> anyhow::Result<()> {
    while connections.len() < count {
        connections.push(server.connect(trust).await?);
    }
    Ok(())
}

fn show(what: &str, bytes: u64) -> u64 {
    println!("{what:44} {:>6}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10);
    bytes
}
