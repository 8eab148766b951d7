//! Records the span of a request.

use std::{
    mem,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, StatusCode};

use super::{Spans, context::SpanContext};
use crate::{
    admission::{self, BreakGlass, clipped},
    review::Phase,
};

/// The span of a request, if it is recorded. Sent when dropped.
#[derive(Default)]
pub(crate) struct Span(Option<Box<Recording>>);

struct Recording {
    spans: Spans,
    began: Instant,
    record: Record,
}

/// A finished span. Times are in nanoseconds of Unix time.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) span_context: SpanContext,
    pub(super) phase: &'static str,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Names and times of events.
    pub(super) events: Vec<(&'static str, u64)>,
    pub(super) body: Option<usize>,
    /// The status of the response. None if the client closed the connection before.
    pub(super) status: Option<StatusCode>,
    /// Why the request was not reviewed.
    pub(super) error: Option<&'static str>,
    pub(super) review: Option<Review>,
}

/// The result of a review, with the fields of its log line.
#[derive(Debug)]
pub(super) struct Review {
    pub(super) uid: String,
    pub(super) operation: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) part: &'static str,
    pub(super) allowed: bool,
    pub(super) exempt: bool,
    pub(super) rules: Vec<&'static str>,
    pub(super) break_glass: Option<&'static str>,
}

impl Span {
    /// Starts a span, if a collector is configured and the client's trace is sampled.
    pub(crate) fn begin(spans: Option<&Spans>, phase: Phase, headers: &HeaderMap) -> Self {
        let recording = spans.and_then(|spans| {
            let span_context = SpanContext::below(headers)?;
            let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let start = u64::try_from(start).unwrap_or(u64::MAX);
            let record = Record { span_context, phase: phase.name(), start, ..Record::default() };
            Some(Box::new(Recording { spans: spans.clone(), began: Instant::now(), record }))
        });
        Self(recording)
    }

    /// Records that the body was received.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.note(|record, now| {
            record.events.push(("body received", now));
            record.body = Some(bytes);
        });
    }

    /// Records that the review got its turn.
    pub(crate) fn turn(&mut self) {
        self.note(|record, now| record.events.push(("turn came", now)));
    }

    /// Records that the permission check for break-glass is done.
    pub(crate) fn asked(&mut self) {
        self.note(|record, now| record.events.push(("permission asked", now)));
    }

    /// Records the result of the review.
    pub(crate) fn reviewed(&mut self, response: &admission::Response) {
        self.note(|record, _| {
            record.review = Some(Review {
                uid: clipped(&response.uid).to_owned(),
                operation: response.operation,
                namespace: clipped(&response.namespace).to_owned(),
                name: clipped(&response.name).to_owned(),
                part: response.part,
                allowed: response.allowed,
                exempt: response.exempt,
                rules: response.rules.clone(),
                break_glass: response.break_glass.map(BreakGlass::name),
            });
        });
    }

    /// Records why the request was not reviewed.
    pub(crate) fn failed(&mut self, reason: &'static str) {
        self.note(|record, _| record.error = Some(reason));
    }

    /// Records the status of the response.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.note(|record, _| record.status = Some(status));
    }

    fn note(&mut self, note: impl FnOnce(&mut Record, u64)) {
        if let Some(recording) = &mut self.0 {
            let now = recording.now();
            note(&mut recording.record, now);
        }
    }
}

impl Recording {
    /// The current time, by a monotonic clock: a span never ends before it starts.
    fn now(&self) -> u64 {
        self.record.start.saturating_add(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.record.end = self.now();
        self.spans.send(mem::take(&mut self.record));
    }
}
