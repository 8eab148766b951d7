//! Reading the request of an admission review.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use thiserror::Error;

use super::clipped;
use crate::{
    json::{Reader, Unreadable},
    profile::{ClusterProfile, Field, GROUP, KIND, MAX_ITEMS, Takes, Text, Version, takes_object},
    review::Part,
};

/// Why a body is not answered with a review: the client is no API server.
#[derive(Debug, Error)]
pub enum BadRequest {
    /// The body is not JSON, or not of the shape of a review.
    #[error("the body must be the JSON of an AdmissionReview: {0}")]
    Json(String),
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

/// The request of an admission review, as far as the response depends on it.
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
    /// What no rule reads: a deletion, or another kind, version or subresource.
    Ignored,
}

#[derive(Default)]
struct Envelope<'a> {
    api_version: Text<'a>,
    kind: Text<'a>,
    request: Field<Wire<'a>>,
}

#[derive(Default)]
struct Wire<'a> {
    uid: Text<'a>,
    kind: Field<GroupVersionKind<'a>>,
    sub_resource: Text<'a>,
    name: Text<'a>,
    namespace: Text<'a>,
    operation: Text<'a>,
    object: Profile<'a>,
    old_object: Profile<'a>,
}

#[derive(Default)]
struct GroupVersionKind<'a> {
    group: Text<'a>,
    version: Text<'a>,
    kind: Text<'a>,
}

/// An object that is read with the envelope, in one pass, or why it cannot be.
type Object<'a> = Result<Field<ClusterProfile<'a>>, Unreadable>;

struct Profile<'a>(Object<'a>);

impl Default for Profile<'_> {
    fn default() -> Self {
        Self(Ok(Field::Absent))
    }
}

takes_object!(Envelope {
    "apiVersion" => api_version = Field::read,
    "kind" => kind = Field::read,
    "request" => request = Field::read,
});
takes_object!(Wire {
    "uid" => uid = Field::read,
    "kind" => kind = Field::read,
    "subResource" => sub_resource = Field::read,
    "name" => name = Field::read,
    "namespace" => namespace = Field::read,
    "operation" => operation = Field::read,
    "object" => object = Profile::read,
    "oldObject" => old_object = Profile::read,
});
takes_object!(GroupVersionKind {
    "group" => group = Field::read,
    "version" => version = Field::read,
    "kind" => kind = Field::read,
});

impl<'a> Profile<'a> {
    /// Skips one that cannot be read: its review has a uid, so it gets a response.
    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let start = reader.position();
        reader.allow_items(MAX_ITEMS);
        let read = Field::read(reader);
        if read.is_err() {
            reader.rewind(start);
            reader.skip()?;
        }
        Ok(Self(read))
    }
}

impl<'a> Request<'a> {
    /// Reads the body of a call.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] where there is no request, or none that an API server sends.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, BadRequest> {
        let Field::Set(envelope) = read::<Envelope<'_>>(body)? else { return Err(BadRequest::NotAReview) };
        if !envelope.api_version.is("admission.k8s.io/v1") || !envelope.kind.is("AdmissionReview") {
            return Err(BadRequest::NotAReview);
        }
        let Field::Set(wire) = envelope.request else { return Err(envelope_error("request", "an object")) };
        let Field::Set(kind) = &wire.kind else { return Err(envelope_error("request.kind", "an object")) };
        let operation = operation(&wire.operation)?;
        let subject = match Written::of(operation, kind, &wire.sub_resource) {
            Some(written) => written.read(wire.object.0, wire.old_object.0)?,
            None => Subject::Ignored,
        };
        let text = |text| if let Field::Set(text) = text { text } else { Cow::Borrowed("") };
        let uid = text(wire.uid);
        // It is part of the response, which stays in memory until the client reads it. An API server's has 36 bytes.
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
            Subject::Unreadable(_) | Subject::Ignored => "",
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

    fn read<'a>(self, object: Object<'a>, old_object: Object<'a>) -> Result<Subject<'a>, BadRequest> {
        let Self { is_update, part, version } = self;
        let (object, old_object) = match (object, old_object) {
            (Ok(object), Ok(old_object)) => (object, old_object),
            (Err(error), _) => return Ok(Subject::Unreadable(format!("request.object cannot be read: {error}"))),
            (_, Err(error)) => return Ok(Subject::Unreadable(format!("request.oldObject cannot be read: {error}"))),
        };
        let Field::Set(new) = object else { return Err(envelope_error("request.object", "an object")) };
        let old = match old_object {
            Field::Set(old) if is_update => Some(old),
            _ if is_update => return Err(envelope_error("request.oldObject", "an object")),
            _ => None,
        };
        Ok(Subject::Reviewed { part, version, new, old })
    }
}

/// Reads a body.
///
/// # Errors
///
/// [`BadRequest::Json`] where it is no JSON.
pub(super) fn read<'a, T: Takes<'a>>(body: &'a [u8]) -> Result<Field<T>, BadRequest> {
    let text = str::from_utf8(body).map_err(|error| BadRequest::Json(format!("not UTF-8: {error}")))?;
    let mut reader = Reader::new(text, 0);
    let value = Field::read(&mut reader).and_then(|value| reader.end().map(|()| value));
    // serde_json says where a text stops being JSON. Text that it accepts was refused for another reason.
    let cause = |error: Unreadable| {
        serde_json::from_str::<IgnoredAny>(text).err().map_or(error.to_string(), |it| it.to_string())
    };
    value.map_err(|error| BadRequest::Json(cause(error)))
}

fn operation(operation: &Text<'_>) -> Result<&'static str, BadRequest> {
    const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
    let known = OPERATIONS.into_iter().find(|name| operation.is(name));
    known.ok_or(envelope_error("request.operation", "CREATE, UPDATE, DELETE or CONNECT"))
}

fn envelope_error(field: &'static str, expected: &'static str) -> BadRequest {
    BadRequest::Envelope { field, expected }
}
