//! `admission.k8s.io/v1` on the wire: the bytes of an admission review to the bytes of its answer.
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

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum Unanswered {
    /// There is no review to answer: the caller is no API server.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// The review was told to stop.
    #[error("the review was stopped")]
    Stopped,
}

/// Answers one call of a webhook, however long that takes: [`respond_unless`] for bytes that may be anybody's.
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

/// Answers one call of a webhook, unless it must stop before it is done.
///
/// `body` is the JSON of an `AdmissionReview` of `admission.k8s.io/v1`, `now` the time of the request. What is no
/// ClusterProfile, or of an API version without rules, is allowed untouched, and so is every deletion, and all that is in an
/// exempt namespace. A denial with a [`Claim`] becomes final by [`Response::settled`]. `must_stop` is asked often while rules
/// run; reading the body comes first, which takes a few nanoseconds for each of its bytes.
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
        Subject::PassedOver => response::allow(&request),
        _ if policy.exempts(&request.namespace) => response::exempt(&request),
        Subject::Reviewed { part, version, new, old } => {
            let change = Change::new(*part, *version, new, old.as_ref(), now);
            let report = review::review(RULES, &change, phase, policy, must_stop).map_err(|_| Unanswered::Stopped)?;
            // Not on the status: with it no annotation can be written.
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
