//! Handles `POST /mutate` and `POST /validate`: receives the body, reviews it, and logs, counts and returns the result.

use std::{
    net::{IpAddr, Ipv4Addr},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
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
use tokio::{task::spawn_blocking, time};
use tracing::{debug, error, info};

use crate::{
    admission::{self, BreakGlass, Permission, Unanswered, clipped},
    certificates::Prover,
    kube::permissions::Permissions,
    review::Phase,
    server::{
        deadline,
        denials::Denials,
        http::unsent::{Outbox, Unsent},
        intake::{Received, Unreviewed},
        listener::connections::Seat,
        live_config::LiveConfig,
        metrics::{Metrics, Shed},
    },
    traces::{Span, Spans},
};

/// The handler of both paths, with everything that it needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reviews(Arc<Shared>);

/// Marks a response as that of a review. Holds its memory until it is written.
#[derive(Clone)]
pub(super) struct Answered(pub(super) Arc<Unsent>);

/// The result of a review.
enum Reviewed {
    /// The response, before any break-glass claim is checked, and the duration of the review.
    Answered { response: admission::Response, took: Duration },
    /// The request could not be reviewed.
    Failed(Response),
}

struct Shared {
    live: Arc<LiveConfig>,
    outbox: Arc<Outbox>,
    denials: Denials,
    permissions: Option<Arc<Permissions>>,
    prover: Option<Arc<Prover>>,
    spans: Option<Spans>,
    metrics: Arc<Metrics>,
}

/// How long a review may run on the thread that serves connections: ten times as long as usual.
///
/// Handing a usual review to another thread would cost as much as the review. One that takes longer starts again when it gets a
/// turn.
const QUICK: Duration = Duration::from_millis(1);

/// Maximum bytes of a body whose review starts on that thread. Parsing a body cannot be stopped, and usual writes are smaller.
const QUICK_BYTES: usize = 8 << 10;

/// Maximum bytes of all large responses that are not written yet: 64 of the largest.
const UNSENT: usize = 16 << 20;

impl Reviews {
    pub(super) fn new(
        live: Arc<LiveConfig>,
        permissions: Option<Arc<Permissions>>,
        prover: Option<Arc<Prover>>,
        spans: Option<Spans>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let outbox = Arc::new(Outbox::new(UNSENT));
        let denials = Denials::new();
        Self(Arc::new(Shared { live, outbox, denials, permissions, prover, spans, metrics }))
    }

    /// Runs the timer, frees unused buffers, and logs how many denials were left out. Runs until dropped.
    pub(super) async fn run(&self) {
        tokio::join!(self.0.live.run(), self.0.denials.run());
    }

    /// Logs the last number of denials that were left out.
    pub(super) fn finish(&self) {
        self.0.denials.log_omitted();
    }

    /// Sets the load metrics. Done for each scrape, because updating them for every body would cost more.
    pub(super) fn show_load(&self) {
        let Shared { live, metrics, .. } = &*self.0;
        let (bytes, requests) = live.budget().load();
        metrics.traffic.set_load(bytes, requests);
        metrics.traffic.set_connections_limit(live.limits().connections);
    }

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
        let response = match self.clone().reviewed(phase, request, &mut span).await {
            Ok(response) => response,
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

    /// Receives and reviews a request, and reserves memory for the response.
    async fn reviewed(self, phase: Phase, request: Request, span: &mut Span) -> Result<Response, Unreviewed> {
        let deadline = deadline::of(request.uri().query());
        let seat = request.extensions().get::<Seat>().cloned();
        let peer = seat.as_ref().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Seat::peer);
        let received = self.0.live.budget().receive(peer, request.into_body(), deadline).await?;
        if let Some(seat) = seat {
            seat.begin();
        }
        span.received(received.len());
        match self.clone().review_in_turn(phase, peer, received, deadline, span).await? {
            Reviewed::Answered { response, took } => {
                let response = self.check_claim(response, deadline, span).await;
                let unsent = self.0.outbox.take(peer, response.body.len()).ok_or(Shed::Unsent)?;
                span.reviewed(&response);
                let mut answer = self.record(phase, response, took);
                answer.extensions_mut().insert(Answered(unsent));
                Ok(answer)
            }
            Reviewed::Failed(response) => Ok(response),
        }
    }

    /// Reviews a small body at once on this thread. If that takes too long, waits for a turn and reviews it on another thread.
    async fn review_in_turn(
        self,
        phase: Phase,
        peer: IpAddr,
        received: Received,
        deadline: time::Instant,
        span: &mut Span,
    ) -> Result<Reviewed, Unreviewed> {
        let soon = deadline.min(time::Instant::now() + QUICK);
        if received.len() <= QUICK_BYTES
            && let Some(reviewed) = self.review(phase, &received, soon)
        {
            return Ok(reviewed);
        }
        let turn = self.0.live.turns().take(peer, received.len(), deadline).await?;
        span.turn();
        let reviewed = spawn_blocking(move || {
            let _turn = turn;
            self.review(phase, &received, deadline)
        });
        let stopped = || Some(Reviewed::Failed(unavailable("clusterprofile-webhook is shutting down; try again")));
        reviewed.await.unwrap_or_else(|_| stopped()).ok_or(Unreviewed::Shed(Shed::Deadline))
    }

    /// Adds the proof to a denied arming probe, or asks the API server whether a break-glass claim is permitted.
    async fn check_claim(
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

    /// Reviews the body. None if that is not done before `until`.
    fn review(&self, phase: Phase, received: &Received, until: time::Instant) -> Option<Reviewed> {
        let must_stop = || time::Instant::now() >= until;
        if must_stop() {
            return None;
        }
        let Shared { live, metrics, .. } = &*self.0;
        let (now, started) = (live.now(), Instant::now());
        let respond = || admission::respond_unless(received, phase, &now.policy, Timestamp::now(), &must_stop);
        let answer = catch_unwind(AssertUnwindSafe(respond));
        let took = started.elapsed();
        Some(match answer {
            Ok(Ok(response)) => Reviewed::Answered { response, took },
            Ok(Err(Unanswered::Stopped)) => return None,
            Ok(Err(Unanswered::BadRequest(bad_request))) => {
                metrics.reviews.count_bad_request(phase);
                debug!(phase = %phase, error = %bad_request, "bad request");
                Reviewed::Failed((StatusCode::BAD_REQUEST, format!("{bad_request}\n")).into_response())
            }
            Err(_) => {
                metrics.reviews.count_panic();
                error!(phase = %phase, bytes = received.len(), "internal error in a review; report this bug");
                let message = "clusterprofile-webhook hit an internal error reviewing this object; see its log and report the bug";
                Reviewed::Failed(unavailable(message))
            }
        })
    }

    /// Counts and logs a review, and turns it into an HTTP response.
    fn record(&self, phase: Phase, response: admission::Response, took: Duration) -> Response {
        self.0.metrics.reviews.count_review(phase, &response, took.as_secs_f64());
        self.0.metrics.reviews.count_passed_for_health(&response.passed_for_health);
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
                passed_for_health =
                    (!response.passed_for_health.is_empty()).then(|| response.passed_for_health.join(",")),
                micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                "review"
            );
        }
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], response.body).into_response()
    }

    fn refuse(&self, unreviewed: Unreviewed) -> Response {
        let Shared { live, metrics, .. } = &*self.0;
        match unreviewed {
            Unreviewed::TooLarge => {
                let text = format!("the body must have at most {} bytes\n", live.limits().body);
                closing((StatusCode::PAYLOAD_TOO_LARGE, text).into_response())
            }
            Unreviewed::Broken => closing(
                (StatusCode::BAD_REQUEST, "the body is incomplete: the connection was closed early\n").into_response(),
            ),
            Unreviewed::Shed(reason) => {
                metrics.traffic.count_shed(reason);
                unavailable(match reason {
                    Shed::QueueFull => "clusterprofile-webhook is overloaded: the queue for reviews is full; try again",
                    Shed::Slow => {
                        "clusterprofile-webhook is overloaded and the request body arrived too slowly; try again"
                    }
                    Shed::Unsent => {
                        "clusterprofile-webhook is overloaded: too many responses are waiting to be read; try again"
                    }
                    Shed::Deadline => {
                        "clusterprofile-webhook could not finish this review before its timeout; try again"
                    }
                })
            }
        }
    }
}

/// A 503 that the API server retries while it has time, and whose message it shows to the user.
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

/// Closes the connection after the response, because the rest of the body is not read.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
