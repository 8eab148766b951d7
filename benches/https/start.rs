//! `start`: from exec to the first answered review.

use std::{path::Path, time::Duration};

use serde::Serialize;

use super::{
    bodies::BODIES,
    client::request,
    figures::median,
    report, runtime,
    server::{Cores, Kind, Server, Trust},
};

#[derive(Serialize)]
struct Figures {
    /// From exec to the first answered review, the median.
    webhook_millis: f64,
    floor_millis: f64,
    /// Of the binary, stripped.
    binary_bytes: u64,
}

const STARTS: usize = 20;

pub(crate) fn run(webhook: &Path) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let trust = Trust::new()?;
    let body = BODIES.first().map(|(_, make)| make()).unwrap_or_default();
    let request = request("/validate", &body);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (kind, times) in [Kind::Webhook(webhook), Kind::Floor].into_iter().zip(&mut times) {
            times.push(runtime.block_on(start(kind, &trust, &request))?);
        }
    }
    let [webhook_millis, floor_millis] = times.map(|times| {
        let millis = || times.iter().map(|time| time.as_secs_f64() * 1e3);
        let (least, most) = millis().fold((f64::MAX, 0.0_f64), |(least, most), time| (least.min(time), most.max(time)));
        let median = median(millis());
        println!("{median:.1} ms from exec to the first answered review ({least:.1} to {most:.1}, {STARTS} starts)");
        median
    });
    let binary_bytes = webhook.metadata()?.len();
    println!("above the webhook, below the floor; the webhook's binary has {binary_bytes} bytes");
    report::write("start", STARTS, &Figures { webhook_millis, floor_millis, binary_bytes })
}

async fn start(kind: Kind<'_>, trust: &Trust, request: &[u8]) -> anyhow::Result<Duration> {
    let mut server = Server::spawn(kind, Cores::All, trust)?;
    server.connect(trust).await?.call(request).await?;
    Ok(server.started.elapsed())
}
