//! `admission.k8s.io/v1` on the wire: from the bytes of an admission review to the bytes of its response.
//!
//! The envelope is read with both objects in one pass, borrowed from the bytes; `managedFields` is never built.

use jiff::Timestamp;
use thiserror::Error;

use self::request::{Request, Subject};
pub(crate) use self::response::clipped;
pub use self::{
    break_glass::{ANNOTATION, BreakGlass, Claim, Permission, VERB},
    probe::{PROBE, PROBE_ANNOTATION, Probe},
    request::BadRequest,
    response::Response,
};
use crate::{
    review::{self, Change, Part, Phase, Policy},
    rules::RULES,
};

mod break_glass;
mod probe;
mod request;
mod response;

/// Why there is no response.
#[derive(Debug, Error)]
pub enum Unanswered {
    /// There is no review to answer: the client is no API server.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// The review had to stop before its end.
    #[error("the review was stopped")]
    Stopped,
}

/// Answers one request of a webhook, however long that takes. For bytes of unknown origin use [`respond_unless`].
///
/// # Errors
///
/// [`BadRequest`] where there is no review to answer.
pub fn respond(body: &[u8], phase: Phase, policy: &Policy, now: Timestamp) -> Result<Response, BadRequest> {
    respond_unless(body, phase, policy, now, &|| false).map_err(|unanswered| match unanswered {
        Unanswered::BadRequest(error) => error,
        Unanswered::Stopped => unreachable!("nothing stops it"),
    })
}

/// Answers one request of a webhook, unless it must stop before its end.
///
/// `body` is the JSON of an `AdmissionReview` of `admission.k8s.io/v1`, `now` the time of the request. Allowed without a review
/// are other kinds, API versions without rules, deletions, and writes in exempt namespaces. [`Response::settled`] makes a denial
/// with a [`Claim`] final. `must_stop` is called often while rules run. Before that the body is read, which takes a few
/// nanoseconds per byte.
///
/// # Errors
///
/// [`Unanswered`] where there is no review to answer, or no time.
pub fn respond_unless(
    body: &[u8],
    phase: Phase,
    policy: &Policy,
    now: Timestamp,
    must_stop: &dyn Fn() -> bool,
) -> Result<Response, Unanswered> {
    let request = Request::parse(body)?;
    Ok(match &request.subject {
        Subject::Ignored => response::allow(&request),
        _ if policy.exempts(&request.namespace) => response::exempt(&request),
        Subject::Reviewed { part, version, new, old } => {
            let change = Change::new(*part, *version, new, old.as_ref(), now);
            let report = review::review(RULES, &change, phase, policy, must_stop).map_err(|_| Unanswered::Stopped)?;
            // Not on the status subresource, which writes no annotation.
            let claims = phase == Phase::Validate && *part == Part::Main && policy.break_glass() && report.denies();
            let response = if claims {
                break_glass::answer(body, &request, report, new)
            } else {
                response::answer(&request, phase, &report, new, None)
            };
            probe::recognized(body, &request, response)
        }
        Subject::Unreadable(cause) if phase == Phase::Validate => response::refuse(&request, cause),
        Subject::Unreadable(_) => response::allow(&request),
    })
}
