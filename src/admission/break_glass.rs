//! Break-glass: a single write passes although rules deny it.
//!
//! The user sets [`ANNOTATION`] to the version that the write replaces: the stored object's resourceVersion, or `create` for a
//! new object. A value that is stored already claims nothing, so no user can leave a claim behind for another. The server asks
//! the API server whether the user has the right. None of this is read unless a write would be denied.

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

/// The RBAC verb that its user needs on the ClusterProfile.
pub const VERB: &str = "break-glass";

/// The annotation's value where nothing is stored yet.
const CREATE: &str = "create";

/// The `ClusterRole` of the manifests that has the verb.
const ROLE: &str = "clusterprofile-break-glass";

const RESOURCE: &str = "clusterprofiles";

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakGlass {
    /// The denials are warnings.
    Honoured,
    /// The value belongs to another write.
    WrongValue,
    /// The user does not have the right.
    Forbidden,
    /// The permission check failed.
    Unchecked,
}

impl BreakGlass {
    /// All, as the metric lists them.
    pub const ALL: [Self; 4] = [Self::Honoured, Self::WrongValue, Self::Forbidden, Self::Unchecked];

    /// The value of the audit annotation and of the metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Honoured => "honored",
            Self::WrongValue => "wrong_value",
            Self::Forbidden => "forbidden",
            Self::Unchecked => "unchecked",
        }
    }
}

/// The API server's answer to a permission check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// The user has the right.
    Allowed,
    /// The user does not have it.
    Forbidden,
    /// There is no response.
    Unknown,
}

/// A claim that is honored if the user has the right.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The permission check, as a `SubjectAccessReview`.
    pub question: SubjectAccessReviewSpec,
    honoured: Response,
    forbidden: Response,
}

impl Response {
    /// The final response: this one where there is no claim, or no answer to its permission check.
    #[must_use]
    pub fn settled(mut self, permission: Permission) -> Self {
        match (self.claim.take(), permission) {
            (Some(claim), Permission::Allowed) => claim.honoured,
            (Some(claim), Permission::Forbidden) => claim.forbidden,
            (_, Permission::Unknown) | (None, _) => self,
        }
    }
}

/// The decision on a claim, for the response.
pub(super) enum Decision<'a> {
    /// The denial stays, for this outcome and problem.
    Denied(BreakGlass, Problem<'a>),
    /// The rules that are set aside.
    Honoured(Vec<&'static str>),
}

impl Decision<'_> {
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
            Self::Honoured(rules) => {
                Some(format!("{}: these rules only warn for this write: {}", path(), rules.join(", ")))
            }
        }
    }
}

/// Denies what the report denies, unless a claim is honored.
///
/// `body` is that of the request, `new` its object.
pub(super) fn answer(body: &[u8], request: &Request<'_>, mut report: Report<'_>, new: &ClusterProfile<'_>) -> Response {
    let answer = |report: &Report<'_>, decision: Option<&Decision<'_>>| {
        response::answer(request, Phase::Validate, report, new, decision)
    };
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
        return answer(&report, Some(&Decision::Denied(BreakGlass::WrongValue, problem)));
    }
    let denied = |outcome, text: String| Decision::Denied(outcome, Problem::Forbidden(Value::hidden(""), text.into()));
    let right = right(request);
    let unchecked = format!("could not check whether the user has {right}; try again");
    let mut unchecked = answer(&report, Some(&denied(BreakGlass::Unchecked, unchecked)));
    if let Some(question) = claimed.user_info.and_then(|user| question(user, request)) {
        let forbidden = format!("the user must have {right} to set rules aside; ask for the ClusterRole {ROLE}");
        let forbidden = answer(&report, Some(&denied(BreakGlass::Forbidden, forbidden)));
        let set_aside = report.set_aside();
        let honoured = answer(&report, Some(&Decision::Honoured(set_aside)));
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
        None => ("the stored resourceVersion".to_owned(), ", which is missing,"),
    };
    format!("must be {value}{what} for this write to set rules aside")
}

/// The right that the user needs, in the words of RBAC.
fn right(request: &Request<'_>) -> String {
    let Request { namespace, name, .. } = request;
    format!("the verb {VERB:?} on {RESOURCE}.{GROUP} {} in namespace {}", quote(name), quote(namespace))
}

/// The permission check; none where the user is unknown, or the check would be too long.
fn question(user: &str, request: &Request<'_>) -> Option<SubjectAccessReviewSpec> {
    /// Bytes in all. A user's groups have a few kilobytes. A client that is no API server could send megabytes, which take many
    /// times as much once they are parsed.
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

/// In a pass of its own, because few writes are denied.
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
