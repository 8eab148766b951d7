//! Reading the request of an admission review.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::clipped;
use crate::{
    json,
    profile::{ClusterProfile, Field, Fields, GROUP, KIND, Text, Version},
    rules::Part,
};

/// Why a body is not answered with a review: the caller is no API server.
#[derive(Debug, Error)]
pub enum BadRequest {
    /// The body is not JSON, or not of the shape of a review.
    #[error("the body must be the JSON of an AdmissionReview: {0}")]
    Json(serde_json::Error),
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
#[serde(default, rename_all = "camelCase", bound = "O: Default + Deserialize<'de>")]
struct Envelope<'a, O> {
    #[serde(borrow)]
    api_version: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    request: Field<Wire<'a, O>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "O: Default + Deserialize<'de>")]
struct Wire<'a, O> {
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
    object: O,
    old_object: O,
}

/// Objects that are read with the envelope, in one pass.
type Profile<'a> = Field<ClusterProfile<'a>>;

/// Objects that are left unread.
type Unread<'a> = Option<&'a RawValue>;

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

impl<'de: 'a, 'a, O: Default + Deserialize<'de>> Fields<'de> for Envelope<'a, O> {}
impl<'de: 'a, 'a, O: Default + Deserialize<'de>> Fields<'de> for Wire<'a, O> {}
impl<'de: 'a, 'a> Fields<'de> for GroupVersionKind<'a> {}

impl<'a> Request<'a> {
    /// Reads the body of a call.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] where there is no request, or none that an API server sends.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, BadRequest> {
        match read(body) {
            Ok(envelope) => Self::of(envelope, Written::read),
            Err(error) => Self::unreadable(body, error),
        }
    }

    /// The request of a body that holds an object which cannot be read.
    ///
    /// A second pass, over what no API server sends: it keeps the uid, so that the answer can say what is wrong.
    fn unreadable(body: &'a [u8], error: serde_json::Error) -> Result<Self, BadRequest> {
        let Ok(envelope) = serde_json::from_slice::<Field<Envelope<'a, Unread<'a>>>>(body) else {
            return Err(BadRequest::Json(error));
        };
        Self::of(envelope, |_, object, old_object| {
            let fields = [("request.object", object), ("request.oldObject", old_object)];
            let cause = fields.into_iter().find_map(|(field, object)| {
                let error = serde_json::from_str::<Profile<'_>>(object?.get()).err()?;
                Some(format!("{field} cannot be read: {error}"))
            });
            cause.map(Subject::Unreadable).ok_or(BadRequest::Json(error))
        })
    }

    fn of<O>(
        envelope: Field<Envelope<'a, O>>,
        subject: impl FnOnce(Written, O, O) -> Result<Subject<'a>, BadRequest>,
    ) -> Result<Self, BadRequest> {
        let Field::Set(envelope) = envelope else { return Err(BadRequest::NotAReview) };
        if !envelope.api_version.is("admission.k8s.io/v1") || !envelope.kind.is("AdmissionReview") {
            return Err(BadRequest::NotAReview);
        }
        let Field::Set(wire) = envelope.request else { return Err(envelope_error("request", "an object")) };
        let Field::Set(kind) = &wire.kind else { return Err(envelope_error("request.kind", "an object")) };
        let operation = operation(&wire.operation)?;
        let subject = match Written::of(operation, kind, &wire.sub_resource) {
            Some(written) => subject(written, wire.object, wire.old_object)?,
            None => Subject::PassedOver,
        };
        let text = |text| if let Field::Set(text) = text { text } else { Cow::Borrowed("") };
        let uid = text(wire.uid);
        // It is in the answer, which stays in memory while nobody takes it: an API server's has 36.
        if uid.is_empty() || clipped(&uid) != uid {
            return Err(envelope_error("request.uid", "a string of 1 to 253 bytes"));
        }
        Ok(Self { uid, operation, namespace: text(wire.namespace), name: text(wire.name), subject })
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

/// A write that rules read.
struct Written {
    is_update: bool,
    part: Part,
    version: Version,
}

impl Written {
    fn of(operation: &str, kind: &GroupVersionKind<'_>, subresource: &Text<'_>) -> Option<Self> {
        let is_update = match operation {
            "CREATE" => false,
            "UPDATE" => true,
            _ => return None,
        };
        let part = match subresource.text() {
            None | Some("") => Part::Main,
            Some("status") => Part::Status,
            Some(_) => return None,
        };
        let is_profile = kind.group.is(GROUP) && kind.kind.is(KIND);
        let version = Version::parse(kind.version.text()?).filter(|_| is_profile)?;
        Some(Self { is_update, part, version })
    }

    fn read<'a>(self, object: Profile<'a>, old_object: Profile<'a>) -> Result<Subject<'a>, BadRequest> {
        let Self { is_update, part, version } = self;
        let Field::Set(new) = object else { return Err(envelope_error("request.object", "an object")) };
        let old = match old_object {
            Field::Set(old) if is_update => Some(old),
            _ if is_update => return Err(envelope_error("request.oldObject", "an object")),
            _ => None,
        };
        Ok(Subject::Reviewed { part, version, new, old })
    }
}

/// Reads a body, fast where it is right.
///
/// # Errors
///
/// What `serde_json` says of it.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> serde_json::Result<T> {
    let read = str::from_utf8(body).ok().and_then(|text| json::from_str(text).ok());
    read.map_or_else(|| serde_json::from_slice(body), Ok)
}

fn operation(operation: &Text<'_>) -> Result<&'static str, BadRequest> {
    const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
    let known = OPERATIONS.into_iter().find(|name| operation.is(name));
    known.ok_or(envelope_error("request.operation", "CREATE, UPDATE, DELETE or CONNECT"))
}

fn envelope_error(field: &'static str, expected: &'static str) -> BadRequest {
    BadRequest::Envelope { field, expected }
}
