//! Predicts which writes the API server refuses by the CustomResourceDefinition in force, before it calls /validate.
//!
//! The prediction counts only certain refusals: an unknown pattern, format or CEL rule refuses nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Document;
use thiserror::Error;

use crate::{
    field_path::{FieldPath, Segment},
    profile::{ClusterProfile, Field, Json, Version},
    review::{Change, Problem, Value},
    syntax::{self, base64, url},
};

/// The validation of the CustomResourceDefinition in force, limited to problems that rules also find.
///
/// The caller reads it with [`CrdInForce::read`] when the CRD changes, and passes it to the rules with
/// [`Policy::set_crd`](super::Policy::set_crd). It answers one question: whether the API server refuses a write for the
/// problem of a finding. It does not validate objects.
#[derive(Debug)]
pub struct CrdInForce {
    versions: Vec<Served>,
}

/// A CustomResourceDefinition that cannot be used.
#[derive(Debug, Error)]
pub enum CrdError {
    /// The document is not an `apiextensions.k8s.io/v1` definition.
    #[error("the CustomResourceDefinition cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// The definition has more fields than its memory limit allows.
    #[error("the CustomResourceDefinition has more than {FIELD_LIMIT} fields")]
    TooLarge,
}

/// Maximum fields of all versions together. Each takes 400 bytes. Upstream has about sixty in each of two versions.
const FIELD_LIMIT: usize = 2000;

#[derive(Debug)]
struct Served {
    version: Version,
    /// Whether the version has a status subresource.
    has_status: bool,
    schema: Node,
}

impl CrdInForce {
    /// Reads the JSON of a CustomResourceDefinition.
    ///
    /// # Errors
    ///
    /// [`CrdError`] if `definition` is not a CustomResourceDefinition or is too large.
    pub fn read(definition: Document) -> Result<Self, CrdError> {
        let Definition { spec } = serde_json::from_value(definition)?;
        let served = spec.versions.into_iter().filter(|version| version.served).filter_map(|version| {
            let schema = version.schema.open_api_v3_schema;
            let has_status = version.subresources.status.is_some();
            Some(Served { version: Version::parse(&version.name)?, has_status, schema })
        });
        let versions: Vec<_> = served.collect();
        let mut nodes: Vec<_> = versions.iter().map(|served| &served.schema).collect();
        let mut count = 0;
        while let Some(node) = nodes.pop() {
            count += 1;
            if count > FIELD_LIMIT {
                return Err(CrdError::TooLarge);
            }
            nodes.extend(node.properties.values().chain(node.items.as_deref()));
        }
        Ok(Self { versions })
    }

    /// Whether the API server drops the status from a write of the main resource.
    pub(super) fn has_status(&self, version: Version) -> bool {
        self.served(version).is_some_and(|served| served.has_status)
    }

    /// Whether the CRD refuses `change` for `problem` at `path`.
    ///
    /// Ignores that the API server may accept a problem that the stored object already has.
    pub(super) fn refuses(&self, change: &Change<'_>, path: &FieldPath<'_>, problem: &Problem<'_>) -> bool {
        let Some(Served { schema, .. }) = self.served(change.version) else { return false };
        let segments = path.segments();
        if let ([Segment::Field("metadata"), Segment::Field("labels"), Segment::Key(_)], Problem::Invalid(value, _)) =
            (segments, problem)
        {
            // The API server validates the labels of all objects, without the CRD.
            return matches!(value, Value::Shown(label) if Cel::LabelValue.refuses(label));
        }
        let is_absent = matches!(problem, Problem::Required(_));
        let present = if is_absent { present(change.new, segments) } else { segments.len() };
        let Some((end, way)) = segments.get(..present).and_then(<[_]>::split_last) else { return false };
        let Some(parent) = schema.descend(way) else { return false };
        let Some(node) = parent.step(end) else { return false };
        match problem {
            Problem::Required(_) => {
                matches!(end, Segment::Field(name) if parent.requires(name)) && node.kind != "array"
            }
            Problem::Empty(_) => node.refuses_text(""),
            Problem::TooLong(text, _) => node.refuses_text(text),
            Problem::Invalid(value, _) => {
                node.refuses(value) || (has_moved(change, segments) && schema.is_fixed(segments))
            }
            Problem::NotSupported(value, _) | Problem::TypeInvalid(value, _) => node.refuses(value),
            Problem::TooMany(count, _) => node.max_items.is_some_and(|most| *count > most),
            Problem::Duplicate(_) => {
                let list = way.split_last().and_then(|(_, way)| schema.descend(way));
                matches!(end, Segment::Field(name) if list.is_some_and(|list| list.is_keyed_by(name)))
            }
            Problem::Forbidden(..) | Problem::Dropped(_) | Problem::Past(_) => false,
        }
    }

    /// Whether the API server matches the items of a list by this key.
    pub(super) fn is_keyed(&self, version: Version, list: &[Segment<'_>], key: &str) -> bool {
        self.served(version).and_then(|served| served.schema.descend(list)).is_some_and(|list| list.is_keyed_by(key))
    }

    fn served(&self, version: Version) -> Option<&Served> {
        self.versions.iter().find(|served| served.version == version)
    }
}

/// Returns the number of segments up to the outermost absent field.
///
/// Without a spec, the API server does not check the required fields of the spec.
fn present(profile: &ClusterProfile<'_>, segments: &[Segment<'_>]) -> usize {
    let is_spec = matches!(segments.first(), Some(Segment::Field("spec")));
    match profile.spec.set().map(|spec| &spec.cluster_manager) {
        None if is_spec => 1,
        Some(Field::Absent) if is_spec => segments.len().min(2),
        _ => segments.len(),
    }
}

/// Whether the path is in the cluster manager and the write changes the cluster manager.
fn has_moved(change: &Change<'_>, segments: &[Segment<'_>]) -> bool {
    let is_manager = matches!(segments, [Segment::Field("spec"), Segment::Field("clusterManager"), ..]);
    let stored = change.old.and_then(ClusterProfile::cluster_manager);
    is_manager && stored.zip(change.new.cluster_manager()).is_some_and(|(old, new)| old != new)
}

#[derive(Deserialize)]
struct Definition {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    versions: Vec<DefinedVersion>,
}

#[derive(Deserialize)]
struct DefinedVersion {
    name: String,
    served: bool,
    #[serde(default)]
    schema: Schema,
    #[serde(default)]
    subresources: Subresources,
}

#[derive(Default, Deserialize)]
struct Schema {
    #[serde(rename = "openAPIV3Schema")]
    open_api_v3_schema: Node,
}

#[derive(Default, Deserialize)]
struct Subresources {
    status: Option<Document>,
}

/// The schema of one field.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Node {
    /// The JSON type; empty if the schema allows any type.
    #[serde(rename = "type")]
    kind: String,
    nullable: bool,
    properties: BTreeMap<String, Self>,
    required: Vec<String>,
    items: Option<Box<Self>>,
    min_length: usize,
    max_length: Option<usize>,
    max_items: Option<usize>,
    minimum: Option<f64>,
    #[serde(rename = "enum")]
    values: Vec<Document>,
    pattern: Option<Pattern>,
    format: Option<Format>,
    #[serde(rename = "x-kubernetes-int-or-string")]
    is_int_or_string: bool,
    #[serde(rename = "x-kubernetes-list-type")]
    list_type: String,
    #[serde(rename = "x-kubernetes-list-map-keys")]
    keys: Vec<String>,
    #[serde(rename = "x-kubernetes-validations")]
    validations: Vec<Validation>,
}

/// A pattern. Only the patterns of `metav1.Condition` are known.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(from = "String")]
enum Pattern {
    ConditionType,
    Reason,
    Unknown,
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        match text.as_str() {
            "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$" => {
                Self::ConditionType
            }
            "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" => Self::Reason,
            _ => Self::Unknown,
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(from = "String")]
enum Format {
    Byte,
    DateTime,
    Unknown,
}

impl From<String> for Format {
    fn from(text: String) -> Self {
        match text.as_str() {
            "byte" => Self::Byte,
            "date-time" => Self::DateTime,
            _ => Self::Unknown,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Validation {
    rule: Cel,
}

/// A CEL rule. Only the rules of upstream's types, and this project's forms of them, are known.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(from = "String")]
enum Cel {
    Immutable,
    LabelValue,
    Proxy,
    Server,
    Unknown,
}

impl From<String> for Cel {
    fn from(text: String) -> Self {
        match text.split_whitespace().collect::<Vec<_>>().join(" ").as_str() {
            "self == oldSelf" => Self::Immutable,
            "!format.labelValue().validate(self).hasValue()"
            | "self.matches('^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$')" => Self::LabelValue,
            "self == '' || (isURL(self) && url(self).getScheme() in ['http', 'https', 'socks5'] && url(self).getHost() != '')" => {
                Self::Proxy
            }
            "isURL(self) && url(self).getHost() != ''" => Self::Server,
            _ => Self::Unknown,
        }
    }
}

impl Cel {
    fn refuses(&self, text: &str) -> bool {
        match self {
            Self::LabelValue => !text.is_empty() && !syntax::is_segment(text),
            Self::Proxy => {
                !text.is_empty() && !url::parse(text).is_some_and(|url| url.is(&["http", "https", "socks5"]))
            }
            Self::Server => url::parse(text).is_none(),
            Self::Immutable | Self::Unknown => false,
        }
    }
}

impl Node {
    fn step(&self, segment: &Segment<'_>) -> Option<&Self> {
        match segment {
            Segment::Field(name) => self.properties.get(*name),
            Segment::Item(_) => self.items.as_deref(),
            Segment::Key(_) => None,
        }
    }

    fn descend(&self, segments: &[Segment<'_>]) -> Option<&Self> {
        segments.iter().try_fold(self, Self::step)
    }

    fn requires(&self, name: &str) -> bool {
        self.required.iter().any(|required| required == name)
    }

    fn is_keyed_by(&self, name: &str) -> bool {
        self.list_type == "map" && matches!(&self.keys[..], [key] if key == name)
    }

    /// Whether a node on the path is immutable.
    fn is_fixed(&self, segments: &[Segment<'_>]) -> bool {
        let ways = (1..=segments.len()).filter_map(|end| self.descend(segments.get(..end)?));
        ways.flat_map(|node| &node.validations).any(|validation| validation.rule == Cel::Immutable)
    }

    fn refuses(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Shown(text) | Value::Url(text) | Value::Hidden(text) => self.refuses_text(text),
            #[expect(clippy::cast_precision_loss, reason = "the least of a schema is small")]
            Value::Bare(number) => {
                !self.takes("integer") || self.minimum.is_some_and(|minimum| (*number as f64) < minimum)
            }
            Value::Json(json) => !self.takes(kind(*json)),
            Value::Typed(kind, _) => !self.takes(kind),
            Value::Digest(_) => false,
        }
    }

    /// Whether the schema allows values of this JSON type.
    fn takes(&self, kind: &str) -> bool {
        match self.kind.as_str() {
            "" => !self.is_int_or_string || matches!(kind, "integer" | "string"),
            "number" => matches!(kind, "integer" | "number"),
            own => own == kind || (kind == "null" && self.nullable),
        }
    }

    fn refuses_text(&self, text: &str) -> bool {
        let is_within = || {
            let length = text.chars().count();
            length >= self.min_length && self.max_length.is_none_or(|most| length <= most)
        };
        let is_word = || match &self.pattern {
            Some(Pattern::ConditionType) => syntax::is_condition_type(text),
            Some(Pattern::Reason) => syntax::is_reason(text),
            Some(Pattern::Unknown) | None => true,
        };
        let is_formatted = || match &self.format {
            Some(Format::Byte) => base64::decode(text).is_some_and(|bytes| !bytes.is_empty()),
            Some(Format::DateTime) => syntax::is_date_time(text),
            Some(Format::Unknown) | None => true,
        };
        let is_listed = || self.values.is_empty() || self.values.iter().any(|value| value == text);
        let is_refused = |validation: &Validation| validation.rule.refuses(text);
        !(self.takes("string") && is_within() && is_word() && is_formatted() && is_listed())
            || self.validations.iter().any(is_refused)
    }
}

/// Returns the JSON type. The API server does not accept a float as an integer either.
fn kind(json: Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Boolean(_) => "boolean",
        Json::Integer(_) | Json::Unsigned(_) => "integer",
        Json::Float(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;
