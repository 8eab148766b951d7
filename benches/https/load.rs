//! The load: a number of requests, as fast as they are answered or at a fixed rate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, task::JoinSet};

use super::client::Connection;

/// The latency of each request, and the total time.
pub(crate) struct Answered {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) elapsed: Duration,
}

/// Sends `count` requests, one at a time on each connection.
pub(crate) async fn closed(
    connections: &mut Vec<Connection>,
    requests: &Arc<[Vec<u8>]>,
    count: usize,
) -> anyhow::Result<Answered> {
    let next = Arc::new(AtomicUsize::new(0));
    drive(connections, move |mut connection| {
        let (next, requests) = (Arc::clone(&next), Arc::clone(requests));
        async move {
            let mut latencies = Vec::new();
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(turn % requests.len()).filter(|_| turn < count) else { break };
                let sent = Instant::now();
                connection.call(request).await?;
                latencies.push(sent.elapsed());
            }
            Ok((connection, latencies))
        }
    })
    .await
}

/// Sends `count` requests, one each `interval`, on any free connection.
///
/// The latency of a request is from the time at which it was due, also if it had to wait for a connection.
pub(crate) async fn paced(
    connections: &mut Vec<Connection>,
    request: &Arc<[u8]>,
    count: u32,
    interval: Duration,
) -> anyhow::Result<Answered> {
    let next = Arc::new(Mutex::new(0));
    let started = Instant::now();
    drive(connections, move |mut connection| {
        let (next, request) = (Arc::clone(&next), Arc::clone(request));
        async move {
            let mut latencies = Vec::new();
            loop {
                let mut turn = next.lock().await;
                if *turn == count {
                    break;
                }
                let due = started + interval * *turn;
                *turn += 1;
                // A timer of tokio can be a millisecond late, and the core belongs to the load.
                while Instant::now() < due {
                    tokio::task::yield_now().await;
                }
                drop(turn);
                connection.call(&request).await?;
                latencies.push(due.elapsed());
            }
            Ok((connection, latencies))
        }
    })
    .await
}

/// Runs `task` on every connection concurrently, and returns the connections to the pool.
async fn drive<F>(connections: &mut Vec<Connection>, task: impl Fn(Connection) -> F) -> anyhow::Result<Answered>
where
    F: Future<Output = anyhow::Result<(Connection, Vec<Duration>)>> + Send + 'static,
{
    // A sleeping load would be woken by the response at the cost of the server. A slower server, whose load sleeps
    // more, would look even slower.
    let mut awake = JoinSet::new();
    awake.spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for connection in connections.drain(..) {
        tasks.spawn(task(connection));
    }
    let mut latencies = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (connection, taken) = ended??;
        connections.push(connection);
        latencies.extend(taken);
    }
    Ok(Answered { latencies, elapsed: started.elapsed() })
}
