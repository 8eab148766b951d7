//! `latency`: alternating rounds of the webhook and the floor under each load.

use std::{path::Path, sync::Arc, time::Duration};

use testkit::bodies::BODIES;

use super::{
    client::{Connection, request},
    figures::{Figures, Round, Row, multiples},
    load, plot, report, runtime,
    server::{Cores, Kind, Server, Trust, pin_load},
};

const PATHS: [&str; 2] = ["/mutate", "/validate"];

/// The fixed rate in requests per second: the writes of a large hub in a bad minute.
const RATE: u32 = 500;

/// Requests of a round at the fixed rate, which takes two seconds.
const PACED: u32 = 1000;

/// Connections for the fixed rate. All are in use only if the server falls behind.
const PACED_CONNECTIONS: usize = 32;

/// The largest request that a core can review [`RATE`] times a second.
const PACED_BYTES: usize = 1 << 20;

/// A server with its connections.
struct Side {
    server: Server,
    connections: Vec<Connection>,
}

/// The load.
#[derive(Clone, Copy)]
enum Load {
    Closed { connections: usize, count: usize },
    Paced,
}

pub(crate) fn run(webhook: &Path, rounds: usize, only: Option<&str>, connections: &[usize]) -> anyhow::Result<()> {
    pin_load()?;
    let runtime = runtime()?;
    let rows = runtime.block_on(measure(webhook, rounds, only, connections))?;
    report::print(&rows);
    if only.is_none() {
        report::write("latency", rounds, &rows)?;
        plot::write(&rows)?;
    }
    Ok(())
}

async fn measure(webhook: &Path, rounds: usize, only: Option<&str>, connections: &[usize]) -> anyhow::Result<Vec<Row>> {
    let trust = Trust::new()?;
    let spawn = |kind| -> anyhow::Result<Side> {
        Ok(Side { server: Server::spawn(kind, Cores::One, &trust)?, connections: Vec::new() })
    };
    let mut sides = [spawn(Kind::Webhook(webhook))?, spawn(Kind::Floor)?];
    let mut rows = Vec::new();
    for (body, make) in BODIES {
        let bytes = make();
        for path in PATHS {
            if only.is_some_and(|only| !format!("{body} {path}").contains(only)) {
                continue;
            }
            let closed = connections.iter().map(|&connections| Load::Closed { connections, count: count(bytes.len()) });
            let paced = (bytes.len() < PACED_BYTES).then_some(Load::Paced);
            for load in closed.chain(paced) {
                eprint!("{body} {path}, {}: ", name(load));
                let [webhook, floor] = take_turns(&mut sides, &trust, &request(path, &bytes), load, rounds).await?;
                let [low, multiple, high] = multiples(&webhook, &floor);
                eprintln!(" {multiple:.2} times the floor ({low:.2} to {high:.2})");
                rows.push(Row {
                    body,
                    bytes: bytes.len(),
                    path,
                    connections: load.connections(),
                    rate: matches!(load, Load::Paced).then_some(RATE),
                    webhook: Figures::of(&webhook),
                    floor: Figures::of(&floor),
                    multiple,
                    multiple_quartiles: [low, high],
                });
            }
        }
    }
    Ok(rows)
}

/// Requests of a round, which takes about half a second of CPU.
fn count(bytes: usize) -> usize {
    match bytes {
        0..10_000 => 10_000,
        10_000..100_000 => 4000,
        _ => 250,
    }
}

fn name(load: Load) -> String {
    match load {
        Load::Closed { connections, .. } => format!("{connections} connections"),
        Load::Paced => format!("{RATE} requests/s"),
    }
}

impl Load {
    fn connections(self) -> usize {
        match self {
            Self::Closed { connections, .. } => connections,
            Self::Paced => PACED_CONNECTIONS,
        }
    }
}

/// Runs alternating rounds of both servers. Which is first changes every time.
async fn take_turns(
    sides: &mut [Side; 2],
    trust: &Trust,
    request: &[u8],
    load: Load,
    rounds: usize,
) -> anyhow::Result<[Vec<Round>; 2]> {
    for side in sides.iter_mut() {
        side.connections.clear();
        while side.connections.len() < load.connections() {
            side.connections.push(side.server.connect(trust).await?);
        }
        // Not measured, because the first requests find cold caches and empty free lists.
        side.round(request, load, 4).await?;
    }
    let [webhook, floor] = sides;
    let mut measured = [Vec::new(), Vec::new()];
    let [of_webhook, of_floor] = &mut measured;
    for round in 0..rounds {
        eprint!(".");
        if round % 2 == 0 {
            of_webhook.push(webhook.round(request, load, 1).await?);
            of_floor.push(floor.round(request, load, 1).await?);
        } else {
            of_floor.push(floor.round(request, load, 1).await?);
            of_webhook.push(webhook.round(request, load, 1).await?);
        }
    }
    Ok(measured)
}

impl Side {
    /// A round or a part of one.
    async fn round(&mut self, request: &[u8], load: Load, part: usize) -> anyhow::Result<Round> {
        let before = self.server.cpu()?;
        let answered = match load {
            Load::Closed { count, .. } => {
                load::closed(&mut self.connections, &Arc::from([request.to_vec()]), count / part).await?
            }
            Load::Paced => {
                let count = PACED / u32::try_from(part)?;
                load::paced(&mut self.connections, &request.into(), count, Duration::from_secs(1) / RATE).await?
            }
        };
        let cpu = self.server.cpu()?.since(&before);
        Ok(Round { cpu, elapsed: answered.elapsed, latencies: answered.latencies })
    }
}
