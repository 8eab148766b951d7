//! `multicluster.x-k8s.io/v1alpha1`, the version that is stored.

#![expect(unreachable_pub, reason = "the derive repeats every public struct inside a function")]

use k8s_openapi::ByteString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ClusterVersion, Condition, Property};

/// What the owner of the hub and the cluster manager say about a member cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "multicluster.x-k8s.io",
    version = "v1alpha1",
    kind = "ClusterProfile",
    namespaced,
    status = "ClusterProfileStatus",
    derive = "PartialEq",
    doc = "One member cluster of a cluster inventory, as its cluster manager sees it."
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterProfileSpec {
    /// The cluster manager that made this profile and keeps it up to date. It never changes.
    #[x_kube(validation = Rule::new("self == oldSelf").message("ClusterManager is immutable"))]
    pub cluster_manager: ClusterManager,
    /// Name of the member cluster for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// Who manages the member cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterManager {
    /// The cluster manager's name; the label `x-k8s.io/cluster-manager` must be equal to it.
    pub name: String,
}

/// What the cluster manager observed of the member cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterProfileStatus {
    /// Ways to reach the member cluster, one per provider of credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub access_providers: Option<Vec<AccessProvider>>,
    /// State of the member cluster. `ControlPlaneHealthy` and `Joined` are predefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
    /// Former name of `accessProviders`. Deprecated, and gone in v1alpha2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub credential_providers: Option<Vec<AccessProvider>>,
    /// Facts about the member cluster, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub properties: Option<Vec<Property>>,
    /// Versions of what runs in the member cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ClusterVersion>,
}

/// How to reach the member cluster with one provider's credentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccessProvider {
    /// The API server of the member cluster, with the fields of a kubeconfig's cluster entry. No secrets belong here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// The provider's name, by which consumers choose a credential plugin.
    pub name: String,
}

/// The API server of a member cluster, with the fields of a kubeconfig's cluster entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    /// Path of a file with CA certificates. Do not set it: the path does not exist on a consumer's machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// CA certificates (PEM, base64) that the server certificate is verified against.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "byte"))]
    pub certificate_authority_data: Option<ByteString>,
    /// Whether clients must not ask for compressed answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_compression: Option<bool>,
    /// Additional data for the credential plugin, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<Extension>>,
    /// Whether clients accept any certificate. Everybody on the way can then read the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_tls_verify: Option<bool>,
    /// Proxy on the way to the server: http, https or socks5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// URL of the API server.
    pub server: String,
    /// Name that the server's certificate is checked for, in place of the host of `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
}

/// A named piece of configuration for a credential plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Extension {
    /// The configuration, in a form that the name decides.
    #[schemars(schema_with = "super::status::any_object")]
    pub extension: Map<String, Value>,
    /// What the configuration is for.
    pub name: String,
}
