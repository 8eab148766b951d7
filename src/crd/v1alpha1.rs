//! `multicluster.x-k8s.io/v1alpha1`, the storage version.

#![expect(unreachable_pub, reason = "the derive repeats every public struct inside a function")]

use k8s_openapi::ByteString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ClusterVersion, Condition, Property};

/// Identity of a member cluster.
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
    /// The cluster manager that creates this profile and keeps it up to date. It never changes.
    #[x_kube(validation = Rule::new("self == oldSelf").message("ClusterManager is immutable"))]
    pub cluster_manager: ClusterManager,
    /// Name of the member cluster for users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// The cluster manager of the member cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterManager {
    /// Name of the cluster manager. The label `x-k8s.io/cluster-manager` must equal it.
    pub name: String,
}

/// State of the member cluster, as its cluster manager observes it.
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
    /// Former name of `accessProviders`. Deprecated, and removed in v1alpha2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub credential_providers: Option<Vec<AccessProvider>>,
    /// Facts about the member cluster, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub properties: Option<Vec<Property>>,
    /// Versions of the software in the member cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ClusterVersion>,
}

/// How to reach the member cluster with one provider's credentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccessProvider {
    /// The API server of the member cluster, with the fields of a kubeconfig's cluster entry. No secrets belong here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// Name of the provider. Consumers choose a credential plugin by it.
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
    /// Whether clients must not request compressed responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_compression: Option<bool>,
    /// Additional data for the credential plugin, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<Extension>>,
    /// Whether clients accept any server certificate. If true, an attacker on the network can read the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_tls_verify: Option<bool>,
    /// URL of a proxy between clients and the server: http, https or socks5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// URL of the API server.
    pub server: String,
    /// Name that clients expect in the server's certificate, in place of the host of `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
}

/// A named piece of configuration for a credential plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Extension {
    /// The configuration. The name defines its form.
    #[schemars(schema_with = "super::status::any_object")]
    pub extension: Map<String, Value>,
    /// Purpose of the configuration.
    pub name: String,
}
