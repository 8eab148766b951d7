//! `admission.k8s.io/v1` on the wire: the bytes of an admission review to the bytes of its answer.
//!
//! The envelope is read with both objects in one pass, borrowed from the bytes; `managedFields` is never built.

use jiff::Timestamp;

use self::request::{Request, Subject};
pub(crate) use self::response::clipped;
pub use self::{
    break_glass::{ANNOTATION, BreakGlass, Claim, Permission, VERB},
    probe::{PROBE, PROBE_ANNOTATION, Probe},
    request::BadRequest,
    response::Response,
};
use crate::rules::{self, Change, Part, Phase, Policy};

mod break_glass;
mod probe;
mod request;
mod response;

/// Answers one call of a webhook.
///
/// `body` is the JSON of an `AdmissionReview` of `admission.k8s.io/v1`, `now` the time of the request. What is no
/// ClusterProfile, or of an API version without rules, is allowed untouched, and so is every deletion, and all that is in an
/// exempt namespace. A denial with a [`Claim`] becomes final by [`Response::settled`].
///
/// # Errors
///
/// [`BadRequest`] where there is no review to answer: the caller is no API server.
pub fn respond(body: &[u8], phase: Phase, policy: &Policy, now: Timestamp) -> Result<Response, BadRequest> {
    let request = Request::parse(body)?;
    Ok(match &request.subject {
        Subject::PassedOver => response::allow(&request),
        _ if policy.exempts(&request.namespace) => response::exempt(&request),
        Subject::Reviewed { part, version, new, old } => {
            let change = Change::new(*part, *version, new, old.as_ref(), now);
            let report = rules::review(&change, phase, policy);
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
