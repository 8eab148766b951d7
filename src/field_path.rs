//! Where in an object a finding is.

use std::{borrow::Cow, fmt};

use smallvec::SmallVec;

use crate::{digest, redact};

/// Path to one field of an object.
///
/// Rendered in two ways: dotted for causes and warnings, by [`Display`](fmt::Display), in the notation of apimachinery's
/// `field.Path` (`status.conditions[0].type`, `metadata.labels[x-k8s.io/cluster-manager]`), and as a JSON Pointer
/// (RFC 6901) for patches, by [`FieldPath::pointer`].
///
/// It carries a digest of the place, so that a path below another, of whatever length, costs no more than its own step.
#[derive(Clone, Debug, Default)]
pub struct FieldPath<'a> {
    /// As deep inline as nearly every path becomes.
    segments: SmallVec<[Segment<'a>; 8]>,
    digest: u64,
}

/// Where something is: a path, or what makes one, which is asked only where the path is needed.
pub trait Place<'a> {
    /// The path.
    fn path(self) -> FieldPath<'a>;
}

impl<'a> Place<'a> for FieldPath<'a> {
    fn path(self) -> Self {
        self
    }
}

impl<'a, F: FnOnce() -> FieldPath<'a>> Place<'a> for F {
    fn path(self) -> FieldPath<'a> {
        self()
    }
}

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// A field that the API names: `spec`.
    Field(&'static str),
    /// A key that the object's author chose: `metadata.labels[KEY]`.
    Key(Cow<'a, str>),
    /// An item of a list.
    Item(usize),
}

impl<'a> FieldPath<'a> {
    /// The path of nested fields: `["spec", "displayName"]` is `spec.displayName`.
    #[must_use]
    pub fn of(fields: &[&'static str]) -> Self {
        fields.iter().fold(Self::default(), |path, name| path.field(name))
    }

    /// This path, one field deeper.
    #[must_use]
    pub fn field(self, name: &'static str) -> Self {
        self.step(Segment::Field(name), digest::of_name(name))
    }

    /// This path, at a key that the object's author chose.
    #[must_use]
    pub fn key(self, key: impl Into<Cow<'a, str>>) -> Self {
        let key = key.into();
        let digest = digest::of(('=', &key));
        self.step(Segment::Key(key), digest)
    }

    /// This path, at an item of a list.
    ///
    /// `key` is the item's name or type in a list that is a map; inserting an item shifts the index of later ones, not
    /// their key.
    #[must_use]
    pub fn item(self, index: usize, key: Option<&str>) -> Self {
        let digest = key.map_or(index as u64, |key| digest::of(('=', key)));
        self.step(Segment::Item(index), digest)
    }

    fn step(mut self, segment: Segment<'a>, digest: u64) -> Self {
        self.segments.push(segment);
        self.digest = digest::below(self.digest, digest);
        self
    }

    /// A digest of the place: of list items by their key where they have one, so that it is the same in two versions of an
    /// object.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The steps of the way, from the root.
    pub(crate) fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// The name of the field, or the key, that the path ends with; empty at the root and at an item of a list.
    #[must_use]
    pub fn last(&self) -> &str {
        match self.segments.last() {
            Some(Segment::Field(name)) => name,
            Some(Segment::Key(key)) => key,
            Some(Segment::Item(_)) | None => "",
        }
    }

    /// The path as a JSON Pointer (RFC 6901).
    #[must_use]
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        for segment in &self.segments {
            pointer.push('/');
            match segment {
                Segment::Field(name) => pointer.push_str(name),
                Segment::Key(key) => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
                Segment::Item(index) => pointer.push_str(&index.to_string()),
            }
        }
        pointer
    }
}

/// Two paths are the same where they are written the same.
impl PartialEq for FieldPath<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.segments == other.segments
    }
}

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Field(name) if position == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Key(key) => write!(f, "[{}]", redact::escaped(key))?,
                Segment::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FieldPath;

    #[test]
    fn one_path_two_renderings() {
        let path = FieldPath::of(&["metadata", "labels"]).key("x-k8s.io/cluster~manager");
        assert_eq!(path.to_string(), "metadata.labels[x-k8s.io/cluster~manager]");
        assert_eq!(path.pointer(), "/metadata/labels/x-k8s.io~1cluster~0manager");

        let path = FieldPath::of(&["status", "conditions"]).item(3, Some("Joined")).field("status");
        assert_eq!(path.to_string(), "status.conditions[3].status");
        assert_eq!(path.pointer(), "/status/conditions/3/status");
    }

    #[test]
    fn digests_name_the_place_not_the_index() {
        let digest = |index, key| FieldPath::of(&["list"]).item(index, key).field("name").digest();
        assert_eq!(digest(0, Some("a")), digest(7, Some("a")));
        assert_ne!(digest(0, Some("a")), digest(0, Some("b")));
        assert_ne!(digest(0, None), digest(7, None));
        let of = |fields: &[&'static str]| FieldPath::of(fields).digest();
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
    }
}
