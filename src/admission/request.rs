//! Reading the request of an admission review.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{
    profile::{ClusterProfile, Field, Fields, GROUP, KIND, Text, Version},
    rules::Part,
};

/// Why a body is not answered with a review: the caller is no API server.
#[derive(Debug, Error)]
pub enum BadRequest {
    /// The body is not JSON, or not of the shape of a review.
    #[error("the body must be the JSON of an AdmissionReview: {0}")]
    Json(#[from] serde_json::Error),
    /// The body is JSON, but another type or version.
    #[error("the body must be an AdmissionReview of admission.k8s.io/v1")]
    NotAReview,
    /// A part of the envelope that no API server leaves out is absent or of another type.
    #[error("{field} must be {expected}")]
    Envelope {
        /// Where in the review.
        field: &'static str,
        /// What must be there.
        expected: &'static str,
    },
}

/// The request of an admission review, as far as the answer depends on it.
pub(super) struct Request<'a> {
    pub(super) uid: Cow<'a, str>,
    pub(super) operation: &'static str,
    pub(super) namespace: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) subject: Subject<'a>,
}

/// What a request asks about.
#[expect(clippy::large_enum_variant, reason = "one exists per request, on the stack, and nearly always the large one")]
pub(super) enum Subject<'a> {
    /// A write of a ClusterProfile.
    Reviewed { part: Part, version: Version, new: ClusterProfile<'a>, old: Option<ClusterProfile<'a>> },
    /// An object that cannot be read, and why.
    Unreadable(String),
    /// What no rule reads: a deletion, another kind, version or subresource.
    PassedOver,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    api_version: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    request: Field<Wire<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
    #[serde(borrow)]
    kind: Field<GroupVersionKind<'a>>,
    #[serde(borrow)]
    sub_resource: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    namespace: Text<'a>,
    #[serde(borrow)]
    operation: Text<'a>,
    #[serde(borrow)]
    object: Field<ClusterProfile<'a>>,
    #[serde(borrow)]
    old_object: Field<ClusterProfile<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupVersionKind<'a> {
    #[serde(borrow)]
    group: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
}

impl<'de: 'a, 'a> Fields<'de> for Envelope<'a> {}
impl<'de: 'a, 'a> Fields<'de> for Wire<'a> {}
impl<'de: 'a, 'a> Fields<'de> for GroupVersionKind<'a> {}

impl<'a> Request<'a> {
    /// Reads the body of a call.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] where there is no request, or none that an API server sends.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, BadRequest> {
        match serde_json::from_slice(body) {
            Ok(envelope) => Self::of(envelope),
            Err(error) => Self::unreadable(body).ok_or(BadRequest::Json(error)),
        }
    }

    fn of(envelope: Field<Envelope<'a>>) -> Result<Self, BadRequest> {
        let Field::Set(envelope) = envelope else { return Err(BadRequest::NotAReview) };
        if !envelope.api_version.is("admission.k8s.io/v1") || !envelope.kind.is("AdmissionReview") {
            return Err(BadRequest::NotAReview);
        }
        let Field::Set(wire) = envelope.request else { return Err(envelope_error("request", "an object")) };
        let Wire { uid: Field::Set(uid), .. } = wire else { return Err(envelope_error("request.uid", "a string")) };
        if uid.is_empty() {
            return Err(envelope_error("request.uid", "a string that is not empty"));
        }
        let operation = operation(&wire.operation)?;
        let text = |text| if let Field::Set(text) = text { text } else { Cow::Borrowed("") };
        let subject = Subject::of(operation, &wire.kind, &wire.sub_resource, wire.object, wire.old_object)?;
        Ok(Self { uid, operation, namespace: text(wire.namespace), name: text(wire.name), subject })
    }

    /// The request of a body that is JSON, but holds an object that cannot be read.
    ///
    /// A second pass, over bodies that no API server sends: it keeps the uid, so that the answer can say what is wrong.
    fn unreadable(body: &'a [u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Lenient<'a> {
            #[serde(borrow)]
            request: LenientRequest<'a>,
        }

        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct LenientRequest<'a> {
            uid: String,
            #[serde(default, borrow)]
            object: Option<&'a RawValue>,
            #[serde(default, borrow)]
            old_object: Option<&'a RawValue>,
        }

        let Lenient { request } = serde_json::from_slice(body).ok()?;
        let fields = [("request.object", request.object), ("request.oldObject", request.old_object)];
        let cause = fields.into_iter().find_map(|(field, object)| {
            let error = serde_json::from_str::<Field<ClusterProfile<'_>>>(object?.get()).err()?;
            Some(format!("{field} cannot be read: {error}"))
        })?;
        Some(Self {
            uid: Cow::Owned(request.uid),
            operation: "",
            namespace: Cow::Borrowed(""),
            name: Cow::Borrowed(""),
            subject: Subject::Unreadable(cause),
        })
    }

    /// The part of the object that is written, for the log; empty where nothing is reviewed.
    pub(super) fn part(&self) -> &'static str {
        match self.subject {
            Subject::Reviewed { part: Part::Status, .. } => "status",
            Subject::Reviewed { .. } => "main",
            Subject::Unreadable(_) | Subject::PassedOver => "",
        }
    }
}

impl<'a> Subject<'a> {
    fn of(
        operation: &'static str,
        kind: &Field<GroupVersionKind<'a>>,
        subresource: &Text<'a>,
        object: Field<ClusterProfile<'a>>,
        old_object: Field<ClusterProfile<'a>>,
    ) -> Result<Self, BadRequest> {
        let Field::Set(kind) = kind else { return Err(envelope_error("request.kind", "an object")) };
        let part = match subresource.text() {
            None | Some("") => Part::Main,
            Some("status") => Part::Status,
            Some(_) => return Ok(Self::PassedOver),
        };
        let version = kind.version.text().and_then(Version::parse);
        let (Some(version), true, true) = (version, kind.group.is(GROUP), kind.kind.is(KIND)) else {
            return Ok(Self::PassedOver);
        };
        let old = match operation {
            "CREATE" => None,
            "UPDATE" => Some(object_of(old_object, "request.oldObject")?),
            _ => return Ok(Self::PassedOver),
        };
        Ok(Self::Reviewed { part, version, new: object_of(object, "request.object")?, old })
    }
}

fn operation(operation: &Text<'_>) -> Result<&'static str, BadRequest> {
    const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
    let known = OPERATIONS.into_iter().find(|name| operation.is(name));
    known.ok_or(envelope_error("request.operation", "CREATE, UPDATE, DELETE or CONNECT"))
}

fn object_of<'a>(object: Field<ClusterProfile<'a>>, field: &'static str) -> Result<ClusterProfile<'a>, BadRequest> {
    if let Field::Set(object) = object { Ok(object) } else { Err(envelope_error(field, "an object")) }
}

fn envelope_error(field: &'static str, expected: &'static str) -> BadRequest {
    BadRequest::Envelope { field, expected }
}
