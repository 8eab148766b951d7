//! Counts calls and writes for each step of a proof.

use std::{fmt, time::Duration};

use testkit::{api::Response, calls::Calls, control_plane::ControlPlane, writers::Writers};

/// The steps of a part of a proof, and the calls during them.
pub(crate) struct Account<'p> {
    plane: &'p ControlPlane,
    counted: Calls,
    rows: Vec<Row>,
    last: usize,
    /// Failed responses that no step explains.
    strange: Vec<Response>,
}

/// A step and how often it was made.
#[derive(Default)]
struct Row {
    step: String,
    calls: Calls,
    /// The maximum of failed calls.
    bound: u64,
    unchecked: usize,
    longest: Duration,
    /// The message of a failed call.
    example: String,
}

/// All rows of a part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total {
    pub admissions: u64,
    pub failed: u64,
    pub unchecked: usize,
}

impl<'p> Account<'p> {
    pub(crate) fn new(plane: &'p ControlPlane) -> Self {
        Self { plane, counted: Calls::count(&plane.api), rows: Vec::new(), last: 0, strange: Vec::new() }
    }

    /// Adds the results of `writers` since the previous step to this step, which has ended once more. At most `bound`
    /// more calls may have failed.
    pub(crate) fn close(&mut self, step: &str, writers: &Writers<'_>, bound: u64) {
        let known = self.rows.iter().position(|row| row.step == step);
        self.last = known.unwrap_or_else(|| {
            self.rows.push(Row { step: step.into(), ..Row::default() });
            self.rows.len() - 1
        });
        let row = &mut self.rows[self.last];
        row.bound = row.bound.saturating_add(bound);
        self.add(writers);
        println!("{}", self.rows[self.last]);
    }

    /// Adds the results since then to the last step.
    pub(crate) fn add(&mut self, writers: &Writers<'_>) {
        let row = &mut self.rows[self.last];
        let counted = Calls::count(&self.plane.api);
        row.calls.made += counted.made - self.counted.made;
        let failed = counted.failed - self.counted.failed;
        row.calls.failed += failed;
        self.counted = counted;
        row.longest = row.longest.max(writers.take_longest());
        let (unchecked, others): (Vec<_>, Vec<_>) = writers.take_failed().into_iter().partition(is_unchecked);
        row.unchecked += unchecked.len();
        let message_of = |answer: &Response| answer.body["message"].as_str().unwrap_or_default().to_owned();
        if let Some(refused) = others.iter().find(|answer| answer.status == 500) {
            row.example = message_of(refused);
        }
        self.strange.extend(others.into_iter().filter(|answer| failed == 0 || !is_uncalled(answer)));
    }

    /// Discards the results until now.
    pub(crate) fn skip(&mut self, writers: &Writers<'_>) {
        self.counted = Calls::count(&self.plane.api);
        drop((writers.take_longest(), writers.take_failed()));
    }

    pub(crate) fn total(&self) -> Total {
        let mut total = Total::default();
        for row in &self.rows {
            total.admissions += row.calls.made;
            total.failed += row.calls.failed;
            total.unchecked += row.unchecked;
        }
        total
    }

    /// A line for each broken promise.
    pub(crate) fn broken(&self) -> Vec<String> {
        let failed = self.rows.iter().filter(|row| row.calls.failed > row.bound);
        let failed = failed.map(|row| {
            let Row { step, calls, bound, example, .. } = row;
            format!("{} calls have failed, of {bound} at the most: {step}: {example}", calls.failed)
        });
        let unchecked = self.rows.iter().filter(|row| row.unchecked > 0);
        let unchecked = unchecked.map(|row| format!("{} bad writes were accepted: {}", row.unchecked, row.step));
        let strange = self.strange.iter().take(10).map(|answer| format!("{answer:?}"));
        failed.chain(unchecked).chain(strange).collect()
    }

    /// The rows as a Markdown table.
    pub(crate) fn table(&self) -> String {
        let head = "| step | admissions | failed | unchecked | longest |\n| --- | --- | --- | --- | --- |\n";
        self.rows.iter().fold(head.to_owned(), |table, row| format!("{table}{row}\n"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, calls: Calls { made, failed }, unchecked, longest, .. } = self;
        write!(f, "| {step} | {made} | {failed} | {unchecked} | {} ms |", longest.as_millis())
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { admissions, failed, unchecked } = self;
        write!(f, "{admissions} admissions, {failed} failed, {unchecked} unchecked")
    }
}

/// An invalid write that was accepted.
fn is_unchecked(answer: &Response) -> bool {
    answer.status == 201 && name(answer).starts_with("bad-")
}

/// The result of a failed call, which the API server counts: the write is refused, or a valid one is not filled in and
/// perhaps refused for that.
fn is_uncalled(answer: &Response) -> bool {
    let message = answer.body["message"].as_str().unwrap_or_default();
    match answer.status {
        500 => message.contains("failed calling webhook"),
        201 => true,
        422 => name(answer).starts_with("good-"),
        _ => false,
    }
}

/// Of what was written, or refused.
fn name(answer: &Response) -> &str {
    let name =
        ["/metadata/name", "/details/name"].into_iter().find_map(|pointer| answer.body.pointer(pointer)?.as_str());
    name.unwrap_or_default()
}
