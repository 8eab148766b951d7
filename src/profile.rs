//! What rules read of a ClusterProfile: a borrowed, read-only view that no JSON can break.
//!
//! Null is absent, a value of another JSON type is kept as [`Field::Mistyped`] for the rule `field-type`, and unknown fields
//! are skipped without recursion, so that an extension nested thousands deep passes as it does in the API server.
//! Field names and types: CRD `clusterprofiles.multicluster.x-k8s.io`, v1alpha1 and v1alpha2. Not good for writing an object
//! back: only what rules read is here.

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

pub(crate) mod condition;
mod fields;
mod items;
mod listed;
mod object;
mod read;

/// API group of ClusterProfile.
pub const GROUP: &str = "multicluster.x-k8s.io";

/// Kind of the one type that is reviewed.
pub const KIND: &str = "ClusterProfile";

/// An API version of ClusterProfile whose rules are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The stored version.
    V1alpha1,
    /// Served beside it, with a stricter schema.
    V1alpha2,
}

impl Version {
    /// The version named `v1alpha1` or `v1alpha2`, none for any other.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "v1alpha1" => Some(Self::V1alpha1),
            "v1alpha2" => Some(Self::V1alpha2),
            _ => None,
        }
    }
}

/// Text of a field, borrowed from the object's bytes unless it is written with escapes.
pub type Text<'a> = Field<Cow<'a, str>>;

/// Text of a field in a list.
pub type ListedText<'a> = Field<&'a str>;

/// A list of items of that type.
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

/// `metadata`, of which API machinery has already checked all that it owns.
#[derive(Debug, Default, PartialEq)]
pub struct Metadata<'a> {
    /// Absent where `generateName` asks the API server for one.
    pub name: Text<'a>,
    /// Set from the moment that the object is being deleted.
    pub deletion_timestamp: Text<'a>,
    /// `metadata.labels`
    pub labels: Field<Labels<'a>>,
    /// `metadata.annotations`, unread; null is absent.
    pub annotations: Option<Body<'a>>,
}

/// The labels that rules read.
#[derive(Debug, Default, PartialEq)]
pub struct Labels<'a> {
    /// Names the cluster manager, for consumers that select by label (KEP-4322).
    pub cluster_manager: Text<'a>,
    /// Identifies the member cluster within its inventory (v1alpha2).
    pub inventory_member_id: Text<'a>,
}

/// `spec`
#[derive(Debug, Default, PartialEq)]
pub struct Spec<'a> {
    /// Name for people.
    pub display_name: Text<'a>,
    /// `spec.clusterManager`
    pub cluster_manager: Field<ClusterManager<'a>>,
}

/// `spec.clusterManager`
#[derive(Debug, Default, PartialEq)]
pub struct ClusterManager<'a> {
    /// The one cluster manager of this profile.
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
    /// The deprecated name of `accessProviders`; v1alpha1 alone has it.
    pub credential_providers: List<'a, AccessProvider<'a>>,
}

/// `status.version`
#[derive(Debug, Default, PartialEq)]
pub struct ClusterVersion<'a> {
    /// As the cluster's API server reports it.
    pub kubernetes: Text<'a>,
}

/// An extension's JSON, unread.
#[derive(Clone, Copy)]
pub struct Body<'a>(&'a str);

impl<'a> Body<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, Unreadable> {
        let is_null = reader.peek() == Some(b'n');
        let text = reader.raw()?;
        Ok((!is_null).then_some(Self(text)))
    }

    /// Calls `tell` with the name and the value of each member of an object, but for those that are null. Of what is no
    /// object there are none, and of one with a name that stands for no text, those before it.
    pub(crate) fn each_member(self, mut tell: impl FnMut(Cow<'a, str>, Self)) {
        let _ = Reader::new(self.0, 0).object(|reader, name| {
            if let Some(value) = Self::read(reader)? {
                tell(name, value);
            }
            Ok(())
        });
    }

    /// The JSON as it was written.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Whether it is a JSON object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.text().starts_with('{')
    }

    /// Whether it is a JSON array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.text().starts_with('[')
    }

    /// Whether it is a JSON string.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.text().starts_with('"')
    }

    /// The name of its JSON type.
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

/// Keeps what may be a secret out of logs.
impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.text().len())
    }
}

impl<'a> ClusterProfile<'a> {
    /// Reads the JSON of an object; what is none is [`Field::Mistyped`], null is [`Field::Absent`].
    ///
    /// # Errors
    ///
    /// Why it cannot be read: it is no JSON, or has a field twice that rules read.
    pub fn parse(text: &'a str) -> Result<Field<Self>, String> {
        let mut reader = Reader::new(text, MAX_ITEMS);
        let profile = Field::read(&mut reader).and_then(|profile| reader.end().map(|()| profile));
        profile.map_err(|error| error.to_string())
    }

    /// `spec.clusterManager.name`, where it is a string.
    #[must_use]
    pub fn cluster_manager(&self) -> Option<&Cow<'a, str>> {
        self.spec.set()?.cluster_manager.set()?.name.set()
    }

    /// The labels, where there are any.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels<'a>> {
        self.metadata.set()?.labels.set()
    }

    /// The annotations, where they are an object.
    #[must_use]
    pub fn annotations(&self) -> Option<Body<'a>> {
        self.metadata.set()?.annotations.filter(|annotations| annotations.is_object())
    }

    /// Whether `field-type` tells why there are no labels.
    #[must_use]
    pub fn has_mistyped_labels(&self) -> bool {
        self.metadata.mistyped().is_some()
            || self.metadata.set().is_some_and(|metadata| metadata.labels.mistyped().is_some())
    }

    /// Whether the object is being deleted.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.set().and_then(|metadata| metadata.deletion_timestamp.text()).is_some_and(|time| !time.is_empty())
    }
}

impl<'a> Metadata<'a> {
    /// What of it rules read, and writers may change.
    pub(crate) fn texts(&self) -> (&Field<Labels<'a>>, Option<Body<'a>>) {
        (&self.labels, self.annotations)
    }
}

impl<'a> Status<'a> {
    /// Whether it says nothing: only absent fields, empty objects and empty lists, as typed clients send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        fn nothing<T>(list: &List<'_, T>) -> bool {
            matches!(list, Field::Absent) || list.set().is_some_and(Items::is_empty)
        }
        matches!(&self.version, Field::Absent | Field::Set(ClusterVersion { kubernetes: Field::Absent }))
            && nothing(&self.properties)
            && nothing(&self.conditions)
            && nothing(&self.access_providers)
            && nothing(&self.credential_providers)
    }

    /// The condition of that type, the first if there are several.
    #[must_use]
    pub fn condition(&'a self, kind: &str) -> Option<Condition<'a>> {
        self.conditions.items().map(|(_, condition)| condition).find(|condition| condition.kind().is(kind))
    }

    /// The value of the property of that name, the first if there are several.
    #[must_use]
    pub fn property(&'a self, name: &str) -> Option<&'a str> {
        self.properties.items().find(|(_, property)| property.name().is(name))?.1.value().text()
    }
}
