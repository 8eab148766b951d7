//! Ten times as many bodies as the server accepts at a time.

use std::{
    io, mem,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use testkit::{
    bodies::{Counts, growing},
    profiles::good,
};
use tokio::{runtime, task::JoinSet, time::sleep};

use super::{
    caller::{Caller, Response, request},
    close,
    target::{TIMEOUT, Target},
};
use crate::account::Account;

/// A share of 2 KiB for each connection, which is about what the API server sends here; room for three of the others'
/// bodies at a time, and eight that wait for it.
pub(crate) const FLAGS: [&str; 3] = ["--max-in-flight=2MiB", "--max-connections=512", "--max-queue=8"];

/// What `FLAGS` says, in bytes.
const IN_FLIGHT: usize = 2 << 20;

/// How the calls of a flood were answered, and how long it took.
#[derive(Default)]
struct Answers {
    reviewed: Vec<Duration>,
    full: Vec<Duration>,
    /// How many bodies were given up because they came in slowly, as they do where this machine has much else to do.
    slow: usize,
    others: Vec<String>,
}

/// Sends requests for a while. Returns a summary, and a line for each broken promise.
pub(crate) fn flooded(target: &Target<'_>, account: &mut Account<'_>) -> (String, Vec<String>) {
    const TIME: Duration = Duration::from_secs(20);
    let request: Arc<[u8]> = request(&growing(Counts { properties: 400, ..Counts::default() })).into();
    let callers = (10 * IN_FLIGHT).div_ceil(request.len());
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let writers = target.writers(good);
    let answers = Arc::new(Mutex::new(Answers::default()));
    let (mut took, mut has_recovered) = (Duration::ZERO, false);
    account.skip(&writers);
    let measured = target.measured(|| {
        writers.write(|| {
            (took, has_recovered) = runtime.block_on(async {
                let caller = target.caller();
                let mut calls = JoinSet::new();
                for _ in 0..callers {
                    calls.spawn(call_again_and_again(caller.clone(), Arc::clone(&request), Arc::clone(&answers)));
                }
                sleep(TIME).await;
                target.sample();
                calls.shutdown().await;
                recovery(&caller, &request).await
            });
        });
    });
    let answers = mem::take(&mut *answers.lock().expect("no thread panics"));
    let what = format!("{callers} others send 220 KB each, ten times `--max-in-flight`");
    let mut broken = close(&what, measured, account, &writers);
    broken.extend(answers.broken());
    if !has_recovered {
        broken.push("a second after the flood, what comes is not reviewed".into());
    }
    (answers.summary(took), broken)
}

async fn call_again_and_again(caller: Caller, request: Arc<[u8]>, answers: Arc<Mutex<Answers>>) {
    loop {
        let started = Instant::now();
        let answer = caller.call(&request).await;
        answers.lock().expect("no thread panics").add(answer, started.elapsed());
    }
}

/// How long it takes until one of them is reviewed, if it tries again as often as it likes; and whether the first is
/// that comes a second after the others.
async fn recovery(caller: &Caller, request: &[u8]) -> (Duration, bool) {
    let started = Instant::now();
    let is_reviewed = async || caller.call(request).await.is_ok_and(|answer| answer.is_reviewed());
    while started.elapsed() < TIMEOUT && !is_reviewed().await {}
    let took = started.elapsed();
    sleep(Duration::from_secs(1).saturating_sub(took)).await;
    (took, is_reviewed().await)
}

impl Answers {
    fn add(&mut self, answer: io::Result<Response>, took: Duration) {
        match answer {
            Ok(answer) if answer.is_reviewed() => self.reviewed.push(took),
            Ok(answer) if answer.is_shed("the queue for reviews is full") => self.full.push(took),
            Ok(answer) if answer.is_shed("the request body arrived too slowly") => self.slow += 1,
            Ok(answer) => self.others.push(answer.text().to_owned()),
            Err(error) => self.others.push(error.to_string()),
        }
    }

    fn summary(&self, recovery: Duration) -> String {
        let longest = |all: &[Duration]| all.iter().max().copied().unwrap_or_default().as_millis();
        format!(
            "Of the flood, {} bodies were reviewed, after {} ms at the most, {} refused for a full queue, after {} ms at the \
             most, and {} for coming in slowly; when it ended, the next was reviewed after {} ms.",
            self.reviewed.len(),
            longest(&self.reviewed),
            self.full.len(),
            longest(&self.full),
            self.slow,
            recovery.as_millis()
        )
    }

    fn broken(&self) -> Vec<String> {
        /// What is refused for a full queue is refused at once; on the slowest of machines, that is still far from the
        /// deadline.
        const AT_ONCE: Duration = Duration::from_secs(5);
        /// That it was a flood, and that the server went on reviewing.
        const LEAST: usize = 100;
        let mut broken: Vec<_> = self.others.iter().take(10).cloned().collect();
        if let Some(late) = self.reviewed.iter().find(|took| **took > TIMEOUT) {
            broken.push(format!("a review was answered after {late:?}"));
        }
        if let Some(late) = self.full.iter().find(|took| **took > AT_ONCE) {
            broken.push(format!("a full queue was reported after {late:?}"));
        }
        if self.reviewed.len() < LEAST || self.full.len() < LEAST {
            let (reviewed, full) = (self.reviewed.len(), self.full.len());
            broken.push(format!("it was no flood: {reviewed} reviewed, {full} found the queue full"));
        }
        broken
    }
}
