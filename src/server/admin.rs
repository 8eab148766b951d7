//! Probes and metrics over plain HTTP. They contain no secrets.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::debug;

use crate::{
    server::{Metrics, Stage, handler::Reviews},
    tls::Certificates,
};

#[derive(Clone)]
struct Health {
    certificates: Arc<Certificates>,
    reviews: Reviews,
    metrics: Arc<Metrics>,
    stages: watch::Receiver<Stage>,
}

pub(super) fn router(
    certificates: Arc<Certificates>,
    reviews: Reviews,
    metrics: Arc<Metrics>,
    stages: watch::Receiver<Stage>,
) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .layer(middleware::from_fn(logged))
        .with_state(Health { certificates, reviews, metrics, stages })
}

/// Logs at debug level, because the kubelet and Prometheus send a request every few seconds.
async fn logged(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    debug!(path, status = response.status().as_u16(), "probe");
    response
}

async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    if *health.stages.borrow() != Stage::Serving {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n".into());
    }
    let cause = match health.certificates.current() {
        Some(pair) if pair.is_valid(Timestamp::now()) => return (StatusCode::OK, "ok\n".into()),
        Some(_) => "the serving certificate has expired or is not valid yet",
        None => "no serving certificate yet that the webhook configurations trust",
    };
    let failure = health.certificates.last_failure();
    let failure = failure.map_or_else(String::new, |failure| format!("; last failure: {failure}"));
    (StatusCode::SERVICE_UNAVAILABLE, format!("{cause}{failure}\n"))
}

/// OpenMetrics text. It is valid in the older Prometheus format too, so only the content type depends on the request.
async fn metrics_text(State(health): State<Health>, headers: HeaderMap) -> Response {
    let asked = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = if asked.contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    health.reviews.show_load();
    if let Some(pair) = health.certificates.current() {
        health.metrics.traffic.set_certificate_validity(pair.validity());
    }
    ([(CONTENT_TYPE, format)], health.metrics.render()).into_response()
}
