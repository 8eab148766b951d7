//! Probes and metrics, over plain HTTP: nothing that they tell is secret.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};
use jiff::Timestamp;
use tokio::sync::watch;

use super::Stage;
use crate::{metrics::Metrics, tls::Certificates};

#[derive(Clone)]
struct Health {
    certificates: Arc<Certificates>,
    metrics: Arc<Metrics>,
    stages: watch::Receiver<Stage>,
}

pub(super) fn router(certificates: Arc<Certificates>, metrics: Arc<Metrics>, stages: watch::Receiver<Stage>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Health { certificates, metrics, stages })
}

async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    if *health.stages.borrow() != Stage::Serving {
        (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n")
    } else if !health.certificates.current().is_valid(Timestamp::now()) {
        (StatusCode::SERVICE_UNAVAILABLE, "the certificate has expired or is not valid yet\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn metrics_text(State(health): State<Health>) -> Response {
    let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, format)], health.metrics.render()).into_response()
}
