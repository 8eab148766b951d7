//! What rules read of a ClusterProfile: a borrowed, read-only view that no JSON can break.
//!
//! Null is absent, a value of another JSON type is kept as [`Field::Mistyped`] for the rule `field-type`, and unknown fields
//! are skipped without recursion, so that an extension nested thousands deep passes as it does in the API server.
//! Field names and types: CRD `clusterprofiles.multicluster.x-k8s.io`, v1alpha1 and v1alpha2. Not good for writing an object
//! back: only what rules read is here.

use std::{borrow::Cow, fmt};

use serde::Deserialize;

pub(crate) use self::read::Fields;
pub use self::read::{Content, Field, Items, Json, MAX_ITEMS};
use crate::json::Raw;

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

/// A list of items of that type.
pub type List<T> = Field<Items<T>>;

/// A ClusterProfile.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClusterProfile<'a> {
    /// `metadata`
    #[serde(borrow)]
    pub metadata: Field<Metadata<'a>>,
    /// `spec`
    #[serde(borrow)]
    pub spec: Field<Spec<'a>>,
    /// `status`
    #[serde(borrow)]
    pub status: Field<Status<'a>>,
}

/// `metadata`, of which API machinery has already checked all that it owns.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata<'a> {
    /// Absent where `generateName` asks the API server for one.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Set from the moment that the object is being deleted.
    #[serde(borrow)]
    pub deletion_timestamp: Text<'a>,
    /// `metadata.labels`
    #[serde(borrow)]
    pub labels: Field<Labels<'a>>,
    /// `metadata.annotations`, unread; null is absent.
    #[serde(borrow)]
    pub annotations: Option<Body<'a>>,
}

/// The labels that rules read.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Labels<'a> {
    /// Names the cluster manager, for consumers that select by label (KEP-4322).
    #[serde(borrow, rename = "x-k8s.io/cluster-manager")]
    pub cluster_manager: Text<'a>,
    /// Identifies the member cluster within its inventory (v1alpha2).
    #[serde(borrow, rename = "multicluster.x-k8s.io/inventory-member-id")]
    pub inventory_member_id: Text<'a>,
}

/// `spec`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec<'a> {
    /// Name for people.
    #[serde(borrow)]
    pub display_name: Text<'a>,
    /// `spec.clusterManager`
    #[serde(borrow)]
    pub cluster_manager: Field<ClusterManager<'a>>,
}

/// `spec.clusterManager`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClusterManager<'a> {
    /// The one cluster manager of this profile.
    #[serde(borrow)]
    pub name: Text<'a>,
}

/// `status`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status<'a> {
    /// `status.version`
    #[serde(borrow)]
    pub version: Field<ClusterVersion<'a>>,
    /// A list map by `name`.
    #[serde(borrow)]
    pub properties: List<Property<'a>>,
    /// A list map by `type`.
    #[serde(borrow)]
    pub conditions: List<Condition<'a>>,
    /// A list map by `name`.
    #[serde(borrow)]
    pub access_providers: List<AccessProvider<'a>>,
    /// The deprecated name of `accessProviders`; v1alpha1 alone has it.
    #[serde(borrow)]
    pub credential_providers: List<AccessProvider<'a>>,
}

/// `status.version`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClusterVersion<'a> {
    /// As the cluster's API server reports it.
    #[serde(borrow)]
    pub kubernetes: Text<'a>,
}

/// `status.properties[*]`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Property<'a> {
    /// Unique in the list.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// At most 1024 code points.
    #[serde(borrow)]
    pub value: Text<'a>,
    /// RFC 3339.
    #[serde(borrow)]
    pub last_observed_time: Text<'a>,
}

/// `status.conditions[*]`, a `metav1.Condition`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition<'a> {
    /// Unique in the list.
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    /// `True`, `False` or `Unknown`.
    #[serde(borrow)]
    pub status: Text<'a>,
    /// One word in CamelCase.
    #[serde(borrow)]
    pub reason: Text<'a>,
    /// For people; may be empty.
    #[serde(borrow)]
    pub message: Text<'a>,
    /// RFC 3339.
    #[serde(borrow)]
    pub last_transition_time: Text<'a>,
    /// Generation of the object that the condition was made from.
    pub observed_generation: Field<i64>,
}

/// `status.accessProviders[*]`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AccessProvider<'a> {
    /// Unique in the list.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// How to reach the member cluster.
    #[serde(borrow)]
    pub cluster: Field<Cluster<'a>>,
}

/// `status.accessProviders[*].cluster`, client-go's `clientcmd/api/v1.Cluster`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Cluster<'a> {
    /// URL of the API server.
    #[serde(borrow)]
    pub server: Text<'a>,
    /// Host name to expect in the server's certificate.
    #[serde(borrow)]
    pub tls_server_name: Text<'a>,
    /// Whether a consumer is told to trust any certificate.
    pub insecure_skip_tls_verify: Field<bool>,
    /// Path of a file on the consumer's machine.
    #[serde(borrow)]
    pub certificate_authority: Text<'a>,
    /// PEM certificates in base64.
    #[serde(borrow)]
    pub certificate_authority_data: Text<'a>,
    /// URL of a proxy.
    #[serde(borrow)]
    pub proxy_url: Text<'a>,
    /// Whether a consumer is told not to ask for gzip.
    pub disable_compression: Field<bool>,
    /// `extensions`
    #[serde(borrow)]
    pub extensions: List<Extension<'a>>,
}

/// `extensions[*]`, client-go's `NamedExtension`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Extension<'a> {
    /// Says who reads the extension.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Any JSON; null is absent.
    #[serde(borrow)]
    pub extension: Option<Body<'a>>,
}

/// An extension's JSON, unread.
#[derive(Clone, Copy, Deserialize)]
pub struct Body<'a>(#[serde(borrow)] Raw<'a>);

impl<'a> Body<'a> {
    /// The JSON as it was written.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0.0
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

impl<'a> Status<'a> {
    /// Whether it says nothing: only absent fields, empty objects and empty lists, as typed clients send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        fn nothing<T>(list: &List<T>) -> bool {
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
    pub fn condition(&self, kind: &str) -> Option<&Condition<'a>> {
        self.conditions.items().map(|(_, condition)| condition).find(|condition| condition.kind.is(kind))
    }

    /// The value of the property of that name, the first if there are several.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Cow<'a, str>> {
        self.properties.items().find(|(_, property)| property.name.is(name))?.1.value.set()
    }
}
