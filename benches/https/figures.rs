//! Figures, as the files of results have them.

use std::time::Duration;

use serde::Serialize;

/// The figures of one server under one load.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// CPU time of the server per request; median of the rounds.
    pub(crate) cpu_micros: f64,
    /// Median of the rounds.
    pub(crate) requests_per_second: f64,
    /// Median latency.
    pub(crate) p50_micros: f64,
    /// 99th percentile.
    pub(crate) p99_micros: f64,
    /// 99.9th percentile.
    pub(crate) p999_micros: f64,
}

/// The webhook and the floor under the same load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) body: &'static str,
    pub(crate) bytes: usize,
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    /// The rate, if it was fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<u32>,
    pub(crate) webhook: Figures,
    pub(crate) floor: Figures,
    /// CPU per request as a multiple of the floor, compared between neighboring rounds: median, and middle half.
    pub(crate) multiple: f64,
    pub(crate) multiple_quartiles: [f64; 2],
}

/// One round of one server.
pub(crate) struct Round {
    pub(crate) cpu: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Vec<Duration>,
}

impl Round {
    fn cpu_micros(&self) -> f64 {
        micros(self.cpu) / count(self.latencies.len())
    }
}

impl Figures {
    pub(crate) fn of(rounds: &[Round]) -> Self {
        let mut latencies: Vec<_> = rounds.iter().flat_map(|round| &round.latencies).copied().map(micros).collect();
        latencies.sort_by(f64::total_cmp);
        let per_second = |round: &Round| count(round.latencies.len()) / round.elapsed.as_secs_f64();
        Self {
            cpu_micros: rounded(median(rounds.iter().map(Round::cpu_micros))),
            requests_per_second: rounded(median(rounds.iter().map(per_second))),
            p50_micros: rounded(quantile(&latencies, 0.5)),
            p99_micros: rounded(quantile(&latencies, 0.99)),
            p999_micros: rounded(quantile(&latencies, 0.999)),
        }
    }
}

/// Lower quartile, median and upper quartile of the multiples of the floor.
pub(crate) fn multiples(webhook: &[Round], floor: &[Round]) -> [f64; 3] {
    let mut multiples: Vec<_> =
        webhook.iter().zip(floor).map(|(webhook, floor)| webhook.cpu_micros() / floor.cpu_micros()).collect();
    multiples.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|share| rounded(quantile(&multiples, share)))
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// The quantile of sorted values, or zero if there are none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count is a count")]
    let rank = (count(sorted.len()) * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Rounds to two digits, one more than measurements have.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "no client sends 2^52 requests")]
fn count(count: usize) -> f64 {
    count as f64
}
