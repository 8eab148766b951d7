//! `POST /mutate` and `POST /validate`.

use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse as _, Response},
    routing::post,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{self, timeout_at},
};
use tracing::{debug, error, info};

use super::{
    body::{Received, Unreviewed},
    connections::Reviewing,
    deadline,
    denials::Denials,
    terms::Terms,
};
use crate::{
    admission::{self, BreakGlass, Permission, clipped},
    break_glass::Permissions,
    certificates::Prover,
    metrics::{Metrics, Shed},
    rules::Phase,
    traces::{Span, Spans},
};

/// What answering reviews needs.
#[derive(Clone)]
pub(super) struct Reviews(Arc<Shared>);

/// What came of a review.
enum Reviewed {
    /// What is to be answered, but for a claim, and how long finding that out took.
    Answered { response: admission::Response, took: Duration },
    /// There is no answer to be had.
    Failed(Response),
}

struct Shared {
    terms: Arc<Terms>,
    large: Arc<Semaphore>,
    denials: Denials,
    permissions: Option<Arc<Permissions>>,
    prover: Option<Arc<Prover>>,
    spans: Option<Spans>,
    metrics: Arc<Metrics>,
}

/// Bytes of a body that are reviewed without leaving the thread that serves connections: a tenth of a millisecond's work, which
/// going to another thread and back is not worth, and ten milliseconds' of nothing but mistakes, which others can wait.
const INLINE: usize = 64 << 10;

/// Most larger bodies that are reviewed at a time, if there are so many cores: one with nothing but mistakes takes thirty times
/// its size while it is reviewed, and more at a time would be no faster.
const LARGE: usize = 4;

impl Reviews {
    pub(super) fn new(
        terms: Arc<Terms>,
        permissions: Option<Arc<Permissions>>,
        prover: Option<Arc<Prover>>,
        spans: Option<Spans>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let large = Arc::new(Semaphore::new(cores.min(LARGE)));
        let denials = Denials::new();
        Self(Arc::new(Shared { terms, large, denials, permissions, prover, spans, metrics }))
    }

    /// Sees to it that waits end and memory is given back, and that the log tells what it leaves out, for as long as it is
    /// polled.
    pub(super) async fn run(&self) {
        tokio::join!(self.0.terms.run(), self.0.denials.run());
    }

    /// Tells the last of it.
    pub(super) fn finish(&self) {
        self.0.denials.tell();
    }

    /// Tells how much room is taken, when somebody asks: keeping the figures would be work for every body.
    pub(super) fn show_load(&self) {
        let Shared { terms, metrics, .. } = &*self.0;
        let (bytes, requests) = terms.room().load();
        metrics.server.set_load(bytes, requests);
        metrics.server.set_connections_limit(terms.limits().connections);
    }

    /// The two paths.
    pub(super) fn router(self) -> Router {
        let mutate = async |State(reviews): State<Self>, request| reviews.answer(Phase::Mutate, request).await;
        let validate = async |State(reviews): State<Self>, request| reviews.answer(Phase::Validate, request).await;
        Router::new()
            .route("/mutate", post(mutate))
            .route("/validate", post(validate))
            .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "the method must be POST\n"))
            .fallback(async || (StatusCode::NOT_FOUND, "the path must be /mutate or /validate\n"))
            .with_state(self)
    }

    async fn answer(self, phase: Phase, request: Request) -> Response {
        let mut span = Span::begin(self.0.spans.as_ref(), phase, request.headers());
        let deadline = deadline::of(request.uri().query());
        let response = match self.clone().receive(phase, request, deadline, &mut span).await {
            Ok(Reviewed::Answered { response, took }) => {
                let response = self.settle(response, deadline, &mut span).await;
                span.reviewed(&response);
                self.tell(phase, response, took)
            }
            Ok(Reviewed::Failed(response)) => response,
            Err(unreviewed) => {
                if let Unreviewed::Shed(reason) = unreviewed {
                    span.failed(reason.name());
                }
                self.refuse(unreviewed)
            }
        };
        span.answered(response.status());
        response
    }

    /// Reviews the body, once it is there.
    async fn receive(
        self,
        phase: Phase,
        request: Request,
        deadline: time::Instant,
        span: &mut Span,
    ) -> Result<Reviewed, Unreviewed> {
        let (head, body) = request.into_parts();
        let received = self.0.terms.room().receive(body, deadline).await?;
        if let Some(reviewing) = head.extensions.get::<Reviewing>() {
            reviewing.begin();
        }
        span.received(received.len());
        self.take_turn(phase, received, deadline, span).await
    }

    /// Reviews at once what is small, and what is large when it is its turn.
    async fn take_turn(
        self,
        phase: Phase,
        received: Received,
        deadline: time::Instant,
        span: &mut Span,
    ) -> Result<Reviewed, Unreviewed> {
        if received.len() <= INLINE {
            return Ok(self.review(phase, &received));
        }
        let turn = timeout_at(deadline, Arc::clone(&self.0.large).acquire_owned()).await;
        let turn = turn.map_err(|_| Shed::Deadline)?.expect("the semaphores of a server are never closed");
        span.turn();
        let reviewed = spawn_blocking(move || {
            let _turn = turn;
            self.review(phase, &received)
        });
        let stopped = || Reviewed::Failed(unavailable("clusterprofile-webhook has stopped"));
        Ok(reviewed.await.unwrap_or_else(|_| stopped()))
    }

    /// Answers a denied probe, and asks what a denial's claim wants to know; its body is no longer held.
    async fn settle(
        &self,
        response: admission::Response,
        deadline: time::Instant,
        span: &mut Span,
    ) -> admission::Response {
        if let (Some(probe), Some(prover)) = (&response.probe, &self.0.prover) {
            let warning = prover.answer(probe);
            return response.with_warning(&warning);
        }
        let Some(claim) = &response.claim else { return response };
        let permission = match &self.0.permissions {
            Some(permissions) => permissions.ask(&claim.question, deadline).await,
            None => Permission::Unknown,
        };
        span.asked();
        response.settled(permission)
    }

    fn review(&self, phase: Phase, received: &Received) -> Reviewed {
        let Shared { terms, metrics, .. } = &*self.0;
        let (now, started) = (terms.now(), Instant::now());
        let respond = || admission::respond(received, phase, &now.policy, Timestamp::now());
        let answer = catch_unwind(AssertUnwindSafe(respond));
        let took = started.elapsed();
        match answer {
            Ok(Ok(response)) => Reviewed::Answered { response, took },
            Ok(Err(bad_request)) => {
                metrics.count_bad_request(phase);
                debug!(phase = %phase, error = %bad_request, "bad request");
                Reviewed::Failed((StatusCode::BAD_REQUEST, format!("{bad_request}\n")).into_response())
            }
            Err(_) => {
                metrics.count_panic();
                error!(phase = %phase, bytes = received.len(), "a review ended in a defect, which must be reported");
                let message = "clusterprofile-webhook failed to review this: its log and its authors must know";
                Reviewed::Failed(unavailable(message))
            }
        }
    }

    fn tell(&self, phase: Phase, response: admission::Response, took: Duration) -> Response {
        self.0.metrics.count_review(phase, &response, took.as_secs_f64());
        if response.allowed || self.0.denials.is_logged(Instant::now()) {
            info!(
                uid = clipped(&response.uid),
                operation = response.operation,
                namespace = clipped(&response.namespace),
                name = clipped(&response.name),
                phase = %phase,
                part = response.part,
                allowed = response.allowed,
                exempt = response.exempt.then_some(true),
                rules = response.rules.join(","),
                break_glass = response.break_glass.map(BreakGlass::name),
                micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                "review"
            );
        }
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], response.body).into_response()
    }

    fn refuse(&self, unreviewed: Unreviewed) -> Response {
        let Shared { terms, metrics, .. } = &*self.0;
        match unreviewed {
            Unreviewed::TooLarge => {
                let text = format!("the body must have at most {} bytes\n", terms.limits().body);
                closing((StatusCode::PAYLOAD_TOO_LARGE, text).into_response())
            }
            Unreviewed::Broken => {
                closing((StatusCode::BAD_REQUEST, "the body ended before it was whole\n").into_response())
            }
            Unreviewed::Shed(reason) => {
                metrics.server.count_shed(reason);
                unavailable(match reason {
                    Shed::QueueFull => "clusterprofile-webhook has no room for this review: too many wait already",
                    Shed::Slow => "clusterprofile-webhook has no room for a body that comes in so slowly",
                    Shed::Deadline => "clusterprofile-webhook did not get to this review before its timeout",
                })
            }
        }
    }
}

/// An answer that the API server tries again after, while it has time, and whose text it shows.
fn unavailable(message: &str) -> Response {
    let status = Status {
        status: Some("Failure".into()),
        code: Some(503),
        reason: Some("ServiceUnavailable".into()),
        message: Some(message.into()),
        ..Status::default()
    };
    let body = serde_json::to_vec(&status).expect("a Status is always valid JSON");
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static("application/json")), (RETRY_AFTER, HeaderValue::from_static("1"))];
    closing((StatusCode::SERVICE_UNAVAILABLE, headers, body).into_response())
}

/// Ends the connection with the answer: what is left of the body is not read.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
