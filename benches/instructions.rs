//! Instructions per review, counted by callgrind and compared with a baseline: `make instructions`.
//!
//! Times depend on the machine and its load. This count is reproducible to a fraction of a percent, so that CI can fail
//! if a review becomes more expensive. It is the difference between two runs, one with twice the reviews, which removes
//! the cost of the start, of making the body and of the first review. TLS, HTTP and the log are not included.

#![expect(clippy::print_stdout, reason = "a table is what it is run for")]

use std::{
    env,
    fmt::Write as _,
    fs,
    hint::black_box,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context as _, bail, ensure};
use clusterprofile_webhook::{
    admission,
    review::{Phase, Policy},
};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use testkit::{
    bodies::BODIES,
    worst::{REVIEWS, SHAPES},
};

const BASELINE: &str = "benches/instructions.tsv";

/// Maximum increase over the baseline, in percent.
///
/// Counts of two runs differ by a fiftieth of a percent, because of random hash seeds. Between machines, the C library
/// and the linker make a larger difference.
const LEEWAY: f64 = 5.0;

fn main() -> anyhow::Result<ExitCode> {
    // Cargo adds the flag for harnesses that share a binary with tests.
    let args: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(if compare()? && hold_bounds()? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        ["bounds"] => Ok(if hold_bounds()? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        ["worst", shape, review, rounds] => run_worst(shape.parse()?, review.parse()?, rounds.parse()?),
        ["profile", directory] => profile(Path::new(directory)),
        ["run", body, work, count] => run(body, work, count.parse()?),
        _ => {
            bail!("usage: instructions [bounds | profile DIRECTORY | run BODY WORK COUNT | worst SHAPE REVIEW ROUNDS]")
        }
    }
}

/// What is counted: a review of a body, or for comparison a scan that keeps nothing of it.
struct Subject {
    body: &'static str,
    bytes: usize,
    work: &'static str,
}

const SCAN: &str = "scan";
const MUTATE: &str = "mutate";
const VALIDATE: &str = "validate";

fn cases(body: &'static str, make: fn() -> Vec<u8>) -> [Subject; 3] {
    let bytes = make().len();
    [SCAN, MUTATE, VALIDATE].map(|work| Subject { body, bytes, work })
}

impl Subject {
    /// Enough reviews to make one more page allocation irrelevant.
    fn count(&self) -> u32 {
        if self.bytes > 1 << 20 { 4 } else { 200 }
    }

    fn instructions(&self) -> anyhow::Result<u64> {
        let total = |count: u32| counted(&["run", self.body, self.work, &count.to_string()]);
        let (few, many) = (total(self.count())?, total(2 * self.count())?);
        Ok((many - few) / u64::from(self.count()))
    }
}

/// Counts the instructions of this program with these arguments.
fn counted(args: &[&str]) -> anyhow::Result<u64> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("callgrind.out");
    callgrind(args, &file, &[])?;
    let counted = fs::read_to_string(&file)?;
    let total = counted.lines().find_map(|line| line.strip_prefix("summary: ")?.parse::<u64>().ok());
    total.context("callgrind counts what it runs")
}

fn callgrind(args: &[&str], file: &Path, options: &[&str]) -> anyhow::Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let output = Command::new("valgrind")
        // The environment is on the stack, where its length changes the alignment and its cost.
        .env_clear()
        .env("PATH", path)
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", file.display())])
        .args(options)
        .arg(env::current_exe()?)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("valgrind cannot be run: apt-get install valgrind")?;
    ensure!(output.status.success(), "valgrind: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Checks that the reviews of every worst body of 300 KB are within the limit, and prints their counts.
///
/// The work that a process does once is included. It is little compared with such a body.
fn hold_bounds() -> anyhow::Result<bool> {
    /// Maximum per byte for the two reviews of a write together, and for a /mutate that also reports what /validate
    /// would: twice 600 ns on a processor with four instructions per nanosecond. The limit was measured on one with
    /// nine.
    const MOST: f64 = 2.0 * 2400.0;
    print!("\n{:50}", "instructions per byte of a worst body of 300 KB");
    for review in REVIEWS {
        print!(" {:>14}", review.name);
    }
    println!();
    let next = AtomicUsize::new(0);
    let count = || -> anyhow::Result<bool> {
        let mut all_hold = true;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(shape) = SHAPES.get(index) else { return Ok(all_hold) };
            let bytes = worst_body(index)?.len() as u64;
            let total =
                |review: usize, rounds: &str| counted(&["worst", &index.to_string(), &review.to_string(), rounds]);
            let of_each = (0..REVIEWS.len()).map(|review| Ok(ratio(total(review, "1")? - total(review, "0")?, bytes)));
            let counts: Vec<_> = of_each.collect::<anyhow::Result<_>>()?;
            let plain = REVIEWS.iter().zip(&counts).filter(|(review, _)| review.name == review.phase.name());
            let of_both: f64 = plain.map(|(_, count)| count).sum();
            let holds = of_both <= MOST && counts.iter().all(|count| *count <= MOST);
            let mut row = format!("{:50}", shape.name);
            counts.iter().try_for_each(|count| write!(row, " {count:>14.0}"))?;
            println!("{row} {}", if holds { "" } else { "TOO MANY" });
            all_hold &= holds;
        }
    };
    // One on each core of a small machine. Other programs do not change the count.
    thread::scope(|scope| {
        let other = scope.spawn(count);
        let holds = count()?;
        Ok(holds & other.join().expect("counting does not panic")?)
    })
}

fn worst_body(shape: usize) -> anyhow::Result<Vec<u8>> {
    const BYTES: usize = 300_000;
    Ok(SHAPES.get(shape).context("no such shape")?.body("v1alpha1", BYTES))
}

fn run_worst(shape: usize, review: usize, rounds: u32) -> anyhow::Result<ExitCode> {
    let review = REVIEWS.get(review).context("no such review")?;
    let (body, policy, now) = (worst_body(shape)?, review.policy(), "2026-11-24T12:00:00Z".parse()?);
    for _ in 0..rounds {
        work_once(&body, review.phase.name(), &policy, now);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the table and compares it with the baseline. `UPDATE=1` writes the baseline instead.
fn compare() -> anyhow::Result<bool> {
    let is_update = env::var_os("UPDATE").is_some();
    let stored = if is_update { String::new() } else { fs::read_to_string(BASELINE).context(BASELINE)? };
    let mut fresh = "# Instructions per review: `UPDATE=1 make instructions` writes them.\n".to_owned();
    let mut worse = false;
    println!(
        "{:8} {:9} {:>12} {:>9} {:>6} {:>12} {:>8}",
        "body", "", "instructions", "per byte", "scans", "baseline", "change"
    );
    for (body, make) in BODIES {
        let mut scan = 0;
        for case in cases(body, make) {
            let count = case.instructions()?;
            let key = format!("{body}\t{}", case.work);
            if case.work == SCAN {
                scan = count;
            } else {
                writeln!(fresh, "{key}\t{count}")?;
            }
            let baseline =
                stored.lines().find_map(|line| line.strip_prefix(&key)?.strip_prefix('\t')?.parse::<u64>().ok());
            let change = baseline.map(|baseline| (ratio(count, baseline) - 1.0) * 100.0);
            worse |= !is_update && case.work != SCAN && change.is_none_or(|change| change > LEEWAY);
            println!(
                "{body:8} {:9} {count:>12} {:>9.2} {:>6.2} {:>12} {:>8}",
                case.work,
                ratio(count, case.bytes as u64),
                ratio(count, scan),
                baseline.map_or("-".into(), |baseline| baseline.to_string()),
                change.map_or("-".into(), |change| format!("{change:+.2} %")),
            );
        }
    }
    if is_update {
        fs::write(BASELINE, fresh)?;
    } else if worse {
        println!(
            "more than {LEEWAY} % worse than {BASELINE}, or not in it: make it cheaper, or say in the commit why not"
        );
    }
    Ok(!worse)
}

#[expect(clippy::cast_precision_loss, reason = "counts of instructions are far below 2^52")]
fn ratio(count: u64, other: u64) -> f64 {
    count as f64 / other as f64
}

/// Writes the output of callgrind for each subject, for `callgrind_annotate` or `KCachegrind`.
fn profile(directory: &Path) -> anyhow::Result<ExitCode> {
    fs::create_dir_all(directory)?;
    for case in BODIES.into_iter().flat_map(|(body, make)| cases(body, make)) {
        let name = format!("{}-{}.callgrind", case.body.replace(' ', ""), case.work);
        let file = directory.join(name);
        let options = ["--collect-atstart=no", "--toggle-collect=*instructions*work_once*"];
        callgrind(&["run", case.body, case.work, &case.count().to_string()], &file, &options)?;
        println!("{}: {} times", file.display(), case.count());
    }
    Ok(ExitCode::SUCCESS)
}

fn run(body: &str, work: &str, count: u32) -> anyhow::Result<ExitCode> {
    let (_, body) = BODIES.into_iter().find(|(name, _)| *name == body).context("no such body")?;
    let (body, policy, now) = (body(), Policy::default(), "2026-11-24T12:00:00Z".parse()?);
    for _ in 0..count {
        work_once(&body, work, &policy, now);
    }
    Ok(ExitCode::SUCCESS)
}

/// A function of its own, so that a profile can start and end with it.
#[inline(never)]
fn work_once(body: &[u8], work: &str, policy: &Policy, now: Timestamp) {
    let phase = match work {
        MUTATE => Phase::Mutate,
        VALIDATE => Phase::Validate,
        _ => {
            black_box(serde_json::from_slice::<IgnoredAny>(black_box(body)).expect("it is JSON"));
            return;
        }
    };
    black_box(admission::respond(black_box(body), phase, policy, now).expect("it is a review"));
}
