//! The cost of the webhook over HTTPS compared with the floor: `make bench`.
//!
//! The floor is the cost of TLS, HTTP and reading a body (`floor.rs`). The server process has one core and the load
//! another. Rounds of the two servers alternate, so that other work on the machine affects both.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a table, and how far it is, are what it is run for")]

use std::{
    env,
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use testkit::bodies::BODIES;

mod client;
mod figures;
mod floor;
mod latency;
mod load;
mod memory;
mod plot;
mod report;
mod server;
mod start;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Cargo adds it for harnesses that share a binary with tests
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// CPU per request, requests per second and latencies, against the floor
    Latency {
        #[command(flatten)]
        webhook: Webhook,
        /// Rounds of each server; the median counts
        #[arg(long, default_value_t = 11)]
        rounds: usize,
        /// Only bodies and paths whose name holds this; then nothing is written
        #[arg(long)]
        only: Option<String>,
        /// Connections at a time
        #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
        connections: Vec<usize>,
    },
    /// Resident memory: idle, with 64 large reviews at a time, over 100,000 mixed reviews
    Memory {
        #[command(flatten)]
        webhook: Webhook,
    },
    /// From exec to the first answered review, and the size of the binary
    Start {
        #[command(flatten)]
        webhook: Webhook,
    },
    /// Write a body to standard output, to look at it or to send it with another program
    Body {
        /// `3 KB`, `36 KB` or `2.4 MB`
        name: String,
    },
    /// The floor server, as the other commands start it
    Floor {
        #[arg(long)]
        listen: std::net::SocketAddr,
        #[arg(long)]
        tls_cert: PathBuf,
        #[arg(long)]
        tls_key: PathBuf,
    },
}

#[derive(clap::Args)]
struct Webhook {
    /// The webhook's release binary
    #[arg(long)]
    server: PathBuf,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Latency { webhook, rounds, only, connections } => {
            let webhook = binary(webhook)?;
            latency::run(&webhook, rounds, only.as_deref(), &connections)
        }
        Command::Memory { webhook } => memory::run(&binary(webhook)?),
        Command::Start { webhook } => start::run(&binary(webhook)?),
        Command::Body { name } => {
            let (_, make) = BODIES.into_iter().find(|(known, _)| *known == name).context("no such body")?;
            Ok(io::stdout().write_all(&make())?)
        }
        Command::Floor { listen, tls_cert, tls_key } => floor::serve(listen, tls_cert, tls_key),
    }
}

fn binary(webhook: Webhook) -> anyhow::Result<PathBuf> {
    let Webhook { server } = webhook;
    ensure!(server.is_file(), "{}: no such binary: make build", server.display());
    env::current_dir().map(|directory| directory.join(server)).context("no working directory")
}

/// A runtime of one thread, so that the load stays on its core.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
