//! Prints and writes figures.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use serde::Serialize;

use super::figures::Row;

/// The directory of the figures in the README.
const DIRECTORY: &str = "benches/results";

#[derive(Serialize)]
struct Report<'a, F> {
    machine: Machine,
    commit: String,
    /// Alternating rounds of each server.
    rounds: usize,
    figures: &'a F,
}

#[derive(Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
}

/// The path of a file of figures; makes its directory.
pub(crate) fn file(name: &str) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(DIRECTORY)?;
    Ok(Path::new(DIRECTORY).join(name))
}

/// Writes figures with commit and machine.
pub(crate) fn write(name: &str, rounds: usize, figures: &impl Serialize) -> anyhow::Result<()> {
    let report = Report { machine: machine()?, commit: commit()?, rounds, figures };
    let file = file(&format!("{name}.json"))?;
    fs::write(&file, serde_json::to_string_pretty(&report)? + "\n")?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn machine() -> anyhow::Result<Machine> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    // Not the cores available to this process, which has only one.
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(Machine {
        cpu: cpu.map_or("unknown", |(_, name)| name).to_owned(),
        cores,
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
    })
}

fn commit() -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
        .output()
        .context("git is missing")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Prints the table.
pub(crate) fn print(rows: &[Row]) {
    println!(
        "{:7} {:10} {:12} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "body", "path", "load", "CPU µs", "floor µs", "multiple", "req/s", "floor", "p50 µs", "p99 µs", "p99.9 µs"
    );
    for row in rows {
        let Row { body, path, connections, rate, webhook, floor, multiple, .. } = row;
        let load = rate.map_or_else(|| format!("{connections} conn."), |rate| format!("{rate} req/s"));
        println!(
            "{body:7} {path:10} {load:12} {:>9.1} {:>9.1} {multiple:>9.2} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>9.0}",
            webhook.cpu_micros,
            floor.cpu_micros,
            webhook.requests_per_second,
            floor.requests_per_second,
            webhook.p50_micros,
            webhook.p99_micros,
            webhook.p999_micros,
        );
    }
}
