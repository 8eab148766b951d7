//! The field of an object that a finding is about.

use std::{borrow::Cow, fmt};

use smallvec::SmallVec;

use crate::{digest, redact};

/// Path to one field of an object.
///
/// A path has two forms. [`Display`](fmt::Display) writes the notation of apimachinery's `field.Path` for causes and
/// warnings (`status.conditions[0].type`, `metadata.labels[x-k8s.io/cluster-manager]`). [`FieldPath::pointer`] returns
/// a JSON Pointer (RFC 6901) for patches.
///
/// A path holds a digest of its place. A further step updates the digest in constant time.
#[derive(Clone, Debug, Default)]
pub struct FieldPath<'a> {
    /// Eight steps inline: few paths are deeper.
    segments: SmallVec<[Segment<'a>; 8]>,
    digest: u64,
}

/// A path, or a function that builds one only when the path is needed.
pub trait Place<'a> {
    /// Returns the path.
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
    /// Returns the path of nested fields: `["spec", "displayName"]` is `spec.displayName`.
    #[must_use]
    pub fn of(fields: &[&'static str]) -> Self {
        fields.iter().fold(Self::default(), |path, name| path.field(name))
    }

    /// Appends a field.
    #[must_use]
    pub fn field(self, name: &'static str) -> Self {
        self.step(Segment::Field(name), digest::of_name(name))
    }

    /// Appends a key that the object's author chose.
    #[must_use]
    pub fn key(self, key: impl Into<Cow<'a, str>>) -> Self {
        let key = key.into();
        let digest = digest::of(('=', &key));
        self.step(Segment::Key(key), digest)
    }

    /// Appends an item of a list.
    ///
    /// `key` is the item's name or type in a list that is a map. An inserted item shifts the index of later items, but
    /// not their key.
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

    /// Returns a digest of the place.
    ///
    /// The digest uses the keys of list items if they have keys, so that it is the same in two versions of an object.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Returns the steps from the root.
    pub(crate) fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// Returns the field name or the key that the path ends with, or an empty text at the root and at an item of a
    /// list.
    #[must_use]
    pub fn last(&self) -> &str {
        match self.segments.last() {
            Some(Segment::Field(name)) => name,
            Some(Segment::Key(key)) => key,
            Some(Segment::Item(_)) | None => "",
        }
    }

    /// Returns the path as a JSON Pointer (RFC 6901).
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

/// Two paths are equal if their written forms are equal. The digest does not count.
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
