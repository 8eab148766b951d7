//! `start`: the time from exec to the first answered review.

use std::{path::Path, time::Duration};

use serde::Serialize;
use testkit::bodies::BODIES;

use super::{
    client::request,
    figures::median,
    report, runtime,
    server::{Cores, Kind, Server, Trust},
};

#[derive(Serialize)]
struct Figures {
    /// Median time from exec to the first answered review.
    webhook_millis: f64,
    floor_millis: f64,
    /// The size of the stripped binary.
    binary_bytes: u64,
}

const STARTS: usize = 20;

pub(crate) fn run(webhook: &Path) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let trust = Trust::new()?;
    let body = BODIES.first().map(|(_, make)| make()).unwrap_or_default();
    let request = request("/validate", &body);
    let servers = [("webhook", Kind::Webhook(webhook)), ("floor", Kind::Floor)];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for ((_, kind), times) in servers.into_iter().zip(&mut times) {
            times.push(runtime.block_on(start(kind, &trust, &request))?.as_secs_f64() * 1e3);
        }
    }
    for ((name, _), times) in servers.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let (least, most) = (times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
        let median = median(times.iter().copied());
        println!("{name:8} {median:5.1} ms from exec to the first answered review ({least:.1} to {most:.1})");
    }
    let [webhook_millis, floor_millis] = times.map(|times| median(times.into_iter()));
    let binary_bytes = webhook.metadata()?.len();
    println!("{binary_bytes} bytes in the binary");
    report::write("start", STARTS, &Figures { webhook_millis, floor_millis, binary_bytes })
}

async fn start(kind: Kind<'_>, trust: &Trust, request: &[u8]) -> anyhow::Result<Duration> {
    let mut server = Server::spawn(kind, Cores::All, trust)?;
    server.connect(trust).await?.call(request).await?;
    Ok(server.started.elapsed())
}
