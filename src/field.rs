//! Where in an object a finding is.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

/// Path to one field of an object.
///
/// Rendered in two ways: dotted for causes and warnings, by [`Display`](fmt::Display), in the notation of apimachinery's
/// `field.Path` (`status.conditions[0].type`, `metadata.labels[x-k8s.io/cluster-manager]`), and as a JSON Pointer
/// (RFC 6901) for patches, by [`FieldPath::pointer`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath<'a>(Vec<Segment<'a>>);

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment<'a> {
    /// A field that the API names: `spec`.
    Field(&'static str),
    /// A key that the object's author chose: `metadata.labels[KEY]`.
    Key(Cow<'a, str>),
    /// An item of a list; `key` is what identifies it when the list is a map.
    Item { index: usize, key: Option<&'a str> },
}

impl<'a> FieldPath<'a> {
    /// The path of nested fields: `["spec", "displayName"]` is `spec.displayName`.
    #[must_use]
    pub fn of(fields: &[&'static str]) -> Self {
        /// As deep as nearly every path becomes: growing is dearer than all else about it.
        const DEPTH: usize = 8;
        let mut path = Vec::with_capacity(DEPTH);
        path.extend(fields.iter().copied().map(Segment::Field));
        Self(path)
    }

    /// This path, one field deeper.
    #[must_use]
    pub fn field(mut self, name: &'static str) -> Self {
        self.0.push(Segment::Field(name));
        self
    }

    /// This path, at a key that the object's author chose.
    #[must_use]
    pub fn key(mut self, key: impl Into<Cow<'a, str>>) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// This path, at an item of a list.
    ///
    /// `key` is the item's name or type in a list that is a map; inserting an item shifts the index of later ones, not
    /// their key.
    #[must_use]
    pub fn item(mut self, index: usize, key: Option<&'a str>) -> Self {
        self.0.push(Segment::Item { index, key });
        self
    }

    /// The name of the field, or the key, that the path ends with; empty at the root and at an item of a list.
    #[must_use]
    pub fn last(&self) -> &str {
        match self.0.last() {
            Some(Segment::Field(name)) => name,
            Some(Segment::Key(key)) => key,
            Some(Segment::Item { .. }) | None => "",
        }
    }

    /// The path as a JSON Pointer (RFC 6901).
    #[must_use]
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        for segment in &self.0 {
            pointer.push('/');
            match segment {
                Segment::Field(name) => pointer.push_str(name),
                Segment::Key(key) => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
                Segment::Item { index, .. } => pointer.push_str(&index.to_string()),
            }
        }
        pointer
    }
}

/// A hash of the place: of list items by their key where they have one, so that it is the same in two versions of an object.
impl Hash for FieldPath<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for segment in &self.0 {
            match segment {
                Segment::Field(name) => name.hash(state),
                Segment::Key(key) => ('=', key).hash(state),
                Segment::Item { key: Some(key), .. } => ('=', key).hash(state),
                Segment::Item { index, key: None } => ('#', index).hash(state),
            }
        }
    }
}

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if position == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Key(key) => write!(f, "[{key}]")?,
                Segment::Item { index, .. } => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, RandomState};

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
    fn hashes_name_the_place_not_the_index() {
        let hasher = RandomState::new();
        let hash = |index, key| hasher.hash_one(FieldPath::of(&["list"]).item(index, key).field("name"));
        assert_eq!(hash(0, Some("a")), hash(7, Some("a")));
        assert_ne!(hash(0, Some("a")), hash(0, Some("b")));
        assert_ne!(hash(0, None), hash(7, None));
    }
}
