//! A borrowed, read-only view of the ClusterProfile fields that rules read.
//!
//! Null counts as absent. A value of the wrong JSON type becomes [`Field::Mistyped`], which the rule `field-type` reports.
//! The reader skips unknown fields without recursion, because the API server accepts extensions nested thousands of levels
//! deep.
//!
//! Field names and types come from the CRD `clusterprofiles.multicluster.x-k8s.io`, v1alpha1 and v1alpha2. The view omits
//! the fields that no rule reads, so do not use it to write an object back.

use std::{borrow::Cow, fmt};

pub use self::{
    items::{Items, MAX_ITEMS, Past},
    listed::{AccessProvider, Cluster, Condition, Extension, Property},
    read::{Content, Field, Json},
};
pub(crate) use self::{
    object::Listed,
    read::{Takes, takes_object},
};
use crate::json::{Reader, Unreadable};

mod chunks;
pub(crate) mod condition;
mod fields;
mod items;
mod listed;
mod object;
mod read;

/// API group of ClusterProfile.
pub const GROUP: &str = "multicluster.x-k8s.io";

/// Kind of the only type that the webhook reviews.
pub const KIND: &str = "ClusterProfile";

/// An API version of ClusterProfile that the rules support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The version that the API server stores.
    V1alpha1,
    /// A served version with a stricter schema.
    V1alpha2,
}

impl Version {
    /// Returns the version for `v1alpha1` or `v1alpha2`, and `None` for any other name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "v1alpha1" => Some(Self::V1alpha1),
            "v1alpha2" => Some(Self::V1alpha2),
            _ => None,
        }
    }
}

/// A text field. The text is borrowed from the request body unless it has escapes.
pub type Text<'a> = Field<Cow<'a, str>>;

/// A text field of a list item.
pub type ListedText<'a> = Field<&'a str>;

/// A list field with items of type `T`.
pub type List<'a, T> = Field<Items<'a, T>>;

/// A ClusterProfile.
#[derive(Debug, Default, PartialEq)]
pub struct ClusterProfile<'a> {
    /// `metadata`
    pub metadata: Field<Metadata<'a>>,
    /// `spec`
    pub spec: Field<Spec<'a>>,
    /// `status`
    pub status: Field<Status<'a>>,
}

/// `metadata`. The API machinery validates the fields that it defines before it calls the webhook.
#[derive(Debug, Default, PartialEq)]
pub struct Metadata<'a> {
    /// Absent if the API server is to generate the name from `generateName`.
    pub name: Text<'a>,
    /// Set while the object is being deleted.
    pub deletion_timestamp: Text<'a>,
    /// `metadata.labels`
    pub labels: Field<Labels<'a>>,
    /// `metadata.annotations` as unparsed JSON; `None` if absent or null.
    pub annotations: Option<Body<'a>>,
}

/// The labels that rules read.
#[derive(Debug, Default, PartialEq)]
pub struct Labels<'a> {
    /// `x-k8s.io/cluster-manager`: name of the cluster manager, for consumers that select by label (KEP-4322).
    pub cluster_manager: Text<'a>,
    /// `multicluster.x-k8s.io/inventory-member-id`: ID of the member cluster in its inventory (v1alpha2).
    pub inventory_member_id: Text<'a>,
}

/// `spec`
#[derive(Debug, Default, PartialEq)]
pub struct Spec<'a> {
    /// Human-readable name.
    pub display_name: Text<'a>,
    /// `spec.clusterManager`
    pub cluster_manager: Field<ClusterManager<'a>>,
}

/// `spec.clusterManager`
#[derive(Debug, Default, PartialEq)]
pub struct ClusterManager<'a> {
    /// Name of the only cluster manager that writes this profile.
    pub name: Text<'a>,
}

/// `status`
#[derive(Debug, Default, PartialEq)]
pub struct Status<'a> {
    /// `status.version`
    pub version: Field<ClusterVersion<'a>>,
    /// A list map by `name`.
    pub properties: List<'a, Property<'a>>,
    /// A list map by `type`.
    pub conditions: List<'a, Condition<'a>>,
    /// A list map by `name`.
    pub access_providers: List<'a, AccessProvider<'a>>,
    /// The deprecated name of `accessProviders`, in v1alpha1 only.
    pub credential_providers: List<'a, AccessProvider<'a>>,
}

/// `status.version`
#[derive(Debug, Default, PartialEq)]
pub struct ClusterVersion<'a> {
    /// Kubernetes version that the member cluster's API server reports.
    pub kubernetes: Text<'a>,
}

/// The unparsed, valid JSON of an extension or of the annotations. It is never null.
#[derive(Clone, Copy)]
pub struct Body<'a>(&'a str);

impl<'a> Body<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, Unreadable> {
        let is_null = reader.peek() == Some(b'n');
        let text = reader.raw()?;
        Ok((!is_null).then_some(Self(text)))
    }

    /// Calls `visit` with the name and the value of each member of an object, except for null values.
    ///
    /// If the JSON is not an object, it calls nothing. If a name cannot be decoded, it stops at that member.
    pub(crate) fn each_member(self, mut visit: impl FnMut(Cow<'a, str>, Self)) {
        let _ = Reader::new(self.0, 0).object(|reader, name| {
            if let Some(value) = Self::read(reader)? {
                visit(name, value);
            }
            Ok(())
        });
    }

    /// Returns the JSON as written.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Returns whether the JSON is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.text().starts_with('{')
    }

    /// Returns whether the JSON is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.text().starts_with('[')
    }

    /// Returns whether the JSON is a string.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.text().starts_with('"')
    }

    /// Returns the name of the JSON type.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self.text().as_bytes().first() {
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "boolean",
            _ => "number",
        }
    }
}

impl PartialEq for Body<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

/// Omits the JSON, because it may hold a secret.
impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.text().len())
    }
}

impl<'a> ClusterProfile<'a> {
    /// Reads a ClusterProfile from JSON. Null is [`Field::Absent`]; any other value that is not an object is
    /// [`Field::Mistyped`].
    ///
    /// # Errors
    ///
    /// The text is not valid JSON, or a field that rules read occurs twice.
    pub fn parse(text: &'a str) -> Result<Field<Self>, String> {
        let mut reader = Reader::new(text, MAX_ITEMS);
        let profile = Field::read(&mut reader).and_then(|profile| reader.end().map(|()| profile));
        profile.map_err(|error| error.to_string())
    }

    /// Returns `spec.clusterManager.name` if it is a string.
    #[must_use]
    pub fn cluster_manager(&self) -> Option<&Cow<'a, str>> {
        self.spec.set()?.cluster_manager.set()?.name.set()
    }

    /// Returns the labels if they are an object.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels<'a>> {
        self.metadata.set()?.labels.set()
    }

    /// Returns the annotations if they are an object.
    #[must_use]
    pub fn annotations(&self) -> Option<Body<'a>> {
        self.metadata.set()?.annotations.filter(|annotations| annotations.is_object())
    }

    /// Returns whether `metadata` or `metadata.labels` has the wrong JSON type, which `field-type` reports.
    #[must_use]
    pub fn has_mistyped_labels(&self) -> bool {
        self.metadata.mistyped().is_some()
            || self.metadata.set().is_some_and(|metadata| metadata.labels.mistyped().is_some())
    }

    /// Returns whether `metadata.deletionTimestamp` is set and not empty.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.set().and_then(|metadata| metadata.deletion_timestamp.text()).is_some_and(|time| !time.is_empty())
    }
}

impl<'a> Metadata<'a> {
    /// Returns the fields that rules read and clients can change.
    pub(crate) fn texts(&self) -> (&Field<Labels<'a>>, Option<Body<'a>>) {
        (&self.labels, self.annotations)
    }
}

impl<'a> Status<'a> {
    /// Returns whether the status has no content: only absent fields, empty objects and empty lists, as typed clients send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        fn is_empty_list<T>(list: &List<'_, T>) -> bool {
            matches!(list, Field::Absent) || list.set().is_some_and(Items::is_empty)
        }
        matches!(&self.version, Field::Absent | Field::Set(ClusterVersion { kubernetes: Field::Absent }))
            && is_empty_list(&self.properties)
            && is_empty_list(&self.conditions)
            && is_empty_list(&self.access_providers)
            && is_empty_list(&self.credential_providers)
    }

    /// Returns the first condition of this type.
    #[must_use]
    pub fn condition(&'a self, kind: &str) -> Option<Condition<'a>> {
        self.conditions.items().map(|(_, condition)| condition).find(|condition| condition.kind().is(kind))
    }

    /// Returns the value of the first property with this name, if it is a string.
    #[must_use]
    pub fn property(&'a self, name: &str) -> Option<&'a str> {
        self.properties.items().find(|(_, property)| property.name().is(name))?.1.value().text()
    }
}
