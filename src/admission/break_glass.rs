//! Break-glass: one write, and no other, passes although rules deny it.
//!
//! Whoever writes sets [`ANNOTATION`] to what the write replaces: the stored object's resourceVersion, or `create` where there
//! is none. Only what this write sets counts, so that nobody can be made to claim what another has left there. Whether the
//! user may, the shell asks the API server; nothing of this is read before a write would be denied.

use super::{
    request::{self, Request},
    response::{self, Response},
};
use crate::{
    field_path::FieldPath,
    json::{Reader, Unreadable},
    profile::{ClusterProfile, Field, GROUP, Text, takes_object},
    redact::quote,
    review::{Phase, Problem, Report, Value},
};
use k8s_openapi::api::{
    authentication::v1::UserInfo,
    authorization::v1::{ResourceAttributes, SubjectAccessReviewSpec},
};

/// The annotation by which a write claims break-glass.
pub const ANNOTATION: &str = "clusterprofile-webhook.internal/break-glass";

/// What its user must be allowed to do to the ClusterProfile (RBAC).
pub const VERB: &str = "break-glass";

/// The annotation's value where nothing is stored yet.
const CREATE: &str = "create";

const RESOURCE: &str = "clusterprofiles";

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakGlass {
    /// The denials are warnings.
    Honoured,
    /// The value is for another write.
    WrongValue,
    /// The user may not.
    Forbidden,
    /// It could not be found out whether the user may.
    Unchecked,
}

impl BreakGlass {
    /// All, as the metric lists them.
    pub const ALL: [Self; 4] = [Self::Honoured, Self::WrongValue, Self::Forbidden, Self::Unchecked];

    /// The value of the audit annotation and of the metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::WrongValue => "wrong_value",
            Self::Forbidden => "forbidden",
            Self::Unchecked => "unchecked",
        }
    }
}

/// What the API server says of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// The user may.
    Allowed,
    /// The user may not.
    Forbidden,
    /// It could not be asked.
    Unknown,
}

/// A claim that is honoured if the user may.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What the API server must be asked, in a `SubjectAccessReview`.
    pub question: SubjectAccessReviewSpec,
    honoured: Response,
    forbidden: Response,
}

impl Response {
    /// The final answer: this one where nothing is claimed, and where nothing is known.
    #[must_use]
    pub fn settled(mut self, permission: Permission) -> Self {
        match (self.claim.take(), permission) {
            (Some(claim), Permission::Allowed) => claim.honoured,
            (Some(claim), Permission::Forbidden) => claim.forbidden,
            (_, Permission::Unknown) | (None, _) => self,
        }
    }
}

/// What the answer says of a claim.
pub(super) enum Told<'a> {
    /// The denial stays, and why.
    Denied(BreakGlass, Problem<'a>),
    /// The rules that are set aside.
    Honoured(Vec<&'static str>),
}

impl Told<'_> {
    pub(super) fn outcome(&self) -> BreakGlass {
        match self {
            Self::Denied(outcome, _) => *outcome,
            Self::Honoured(_) => BreakGlass::Honoured,
        }
    }

    /// What is wrong with the claim.
    pub(super) fn problem(&self) -> Option<&Problem<'_>> {
        match self {
            Self::Denied(_, problem) => Some(problem),
            Self::Honoured(_) => None,
        }
    }

    /// The warning that names what is set aside.
    pub(super) fn warning(&self) -> Option<String> {
        match self {
            Self::Denied(..) => None,
            Self::Honoured(rules) => Some(format!("{}: set aside for this write: {}", path(), rules.join(", "))),
        }
    }
}

/// Denies what the report does, unless and until a claim is honoured.
///
/// `body` is that of the request, `new` its object.
pub(super) fn answer(body: &[u8], request: &Request<'_>, mut report: Report<'_>, new: &ClusterProfile<'_>) -> Response {
    let answer =
        |report: &Report<'_>, told: Option<&Told<'_>>| response::answer(request, Phase::Validate, report, new, told);
    let claimed = read(body);
    let old = claimed.old_object.set().filter(|_| request.operation == "UPDATE");
    let value = annotation(claimed.object.set());
    if matches!(value, Field::Absent) || old.is_some_and(|old| annotation(Some(old)) == value) {
        return answer(&report, None);
    }
    let expected = match old {
        Some(old) => old.metadata.set().and_then(|metadata| metadata.resource_version.text()),
        None => Some(CREATE),
    };
    if value.text().is_none_or(str::is_empty) || value.text() != expected {
        let value = match value {
            Field::Mistyped(json) => json.into(),
            other => Value::of(other.text().unwrap_or_default()),
        };
        let problem = Problem::Invalid(value, must_be(expected, old.is_some()).into());
        return answer(&report, Some(&Told::Denied(BreakGlass::WrongValue, problem)));
    }
    let denied = |outcome, text: String| Told::Denied(outcome, Problem::Forbidden(Value::hidden(""), text.into()));
    let right = right(request);
    let unchecked = format!("whether the user has {right} could not be checked: must be tried again");
    let mut unchecked = answer(&report, Some(&denied(BreakGlass::Unchecked, unchecked)));
    if let Some(question) = claimed.user_info.and_then(|user| question(user, request)) {
        let forbidden = format!("to set rules aside, the user must have {right}");
        let forbidden = answer(&report, Some(&denied(BreakGlass::Forbidden, forbidden)));
        let set_aside = report.set_aside();
        let honoured = answer(&report, Some(&Told::Honoured(set_aside)));
        unchecked.claim = Some(Box::new(Claim { question, honoured, forbidden }));
    }
    unchecked
}

/// Where the annotation is.
pub(super) fn path() -> FieldPath<'static> {
    FieldPath::of(&["metadata", "annotations"]).key(ANNOTATION)
}

fn must_be(expected: Option<&str>, is_stored: bool) -> String {
    let (value, what) = match expected {
        Some(value) if is_stored => (quote(value), ", the stored resourceVersion,"),
        Some(value) => (quote(value), ""),
        None => ("the stored resourceVersion".to_owned(), ", of which there is none,"),
    };
    format!("must be {value}{what} for this write to set rules aside")
}

/// What the user must be granted, for whoever grants it.
fn right(request: &Request<'_>) -> String {
    let Request { namespace, name, .. } = request;
    format!("the verb {VERB:?} on {RESOURCE}.{GROUP} {} in namespace {}", quote(name), quote(namespace))
}

/// None where it is not clear who writes, or too long to ask.
fn question(user: &str, request: &Request<'_>) -> Option<SubjectAccessReviewSpec> {
    /// Bytes in all. A person's groups are a few kilobytes; whoever is no API server could send megabytes of them, which take
    /// many times as much once they are read.
    const LONGEST: usize = 32 << 10;
    if user.len() + request.namespace.len() + request.name.len() > LONGEST {
        return None;
    }
    let UserInfo { username, uid, groups, extra } = serde_json::from_str(user).ok()?;
    Some(SubjectAccessReviewSpec {
        user: Some(username.filter(|name| !name.is_empty())?),
        uid,
        groups,
        extra,
        resource_attributes: Some(ResourceAttributes {
            group: Some(GROUP.into()),
            resource: Some(RESOURCE.into()),
            namespace: Some(request.namespace.to_string()),
            name: Some(request.name.to_string()),
            verb: Some(VERB.into()),
            ..ResourceAttributes::default()
        }),
        non_resource_attributes: None,
    })
}

fn annotation<'o, 'a>(object: Option<&'o Object<'a>>) -> &'o Text<'a> {
    const ABSENT: &Text<'static> = &Field::Absent;
    let annotations = object.and_then(|object| object.metadata.set()?.annotations.set());
    annotations.map_or(ABSENT, |annotations| &annotations.break_glass)
}

/// In a pass of its own, for nearly no write is denied.
fn read(body: &[u8]) -> Claimed<'_> {
    let Ok(Field::Set(Envelope { request: Field::Set(claimed) })) = request::read(body) else {
        return Claimed::default();
    };
    claimed
}

struct Envelope<'a> {
    request: Field<Claimed<'a>>,
}

#[derive(Default)]
struct Claimed<'a> {
    /// The JSON of a `UserInfo`.
    user_info: Option<&'a str>,
    object: Field<Object<'a>>,
    old_object: Field<Object<'a>>,
}

struct Object<'a> {
    metadata: Field<Metadata<'a>>,
}

struct Metadata<'a> {
    resource_version: Text<'a>,
    annotations: Field<Annotations<'a>>,
}

struct Annotations<'a> {
    /// Of the name [`ANNOTATION`].
    break_glass: Text<'a>,
}

takes_object!(Envelope { "request" => request = Field::read });
takes_object!(Claimed {
    "userInfo" => user_info = raw,
    "object" => object = Field::read,
    "oldObject" => old_object = Field::read,
});
takes_object!(Object { "metadata" => metadata = Field::read });
takes_object!(Metadata {
    "resourceVersion" => resource_version = Field::read,
    "annotations" => annotations = Field::read,
});
takes_object!(Annotations { "clusterprofile-webhook.internal/break-glass" => break_glass = Field::read });

fn raw<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a str>, Unreadable> {
    reader.raw().map(Some)
}

#[cfg(test)]
mod tests;
