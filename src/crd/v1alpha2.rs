//! `multicluster.x-k8s.io/v1alpha2`: validates the conventions of `v1alpha1`, and has no deprecated fields.

#![expect(unreachable_pub, reason = "the derive repeats every public struct inside a function")]
#![expect(clippy::duplicated_attributes, reason = "printer columns of one type are no duplicates")]

use k8s_openapi::ByteString;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ClusterVersion, Condition, Property};

/// Identity of a member cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "multicluster.x-k8s.io",
    version = "v1alpha2",
    kind = "ClusterProfile",
    namespaced,
    status = "ClusterProfileStatus",
    derive = "PartialEq",
    storage = false,
    printcolumn(name = "Display Name", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Manager", type_ = "string", json_path = ".spec.clusterManager.name"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version.kubernetes"),
    printcolumn(
        name = "Healthy",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="ControlPlaneHealthy")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct ClusterManager {
    /// Name of the cluster manager. The label `x-k8s.io/cluster-manager` must equal it.
    #[schemars(length(min = 1, max = 63))]
    // Upstream has `!format.labelValue().validate(self).hasValue()`, which API servers before 1.31 do not know.
    #[x_kube(
        validation = Rule::new("self.matches('^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$')")
            .message("must be a valid Kubernetes label value")
    )]
    pub name: String,
}

/// State of the member cluster, as its cluster manager observes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterProfileStatus {
    /// Ways to reach the member cluster, one per provider of credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 64))]
    pub access_providers: Option<Vec<AccessProvider>>,
    /// State of the member cluster. `ControlPlaneHealthy` and `Joined` are predefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
    /// Facts about the member cluster, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub properties: Option<Vec<Property>>,
    /// Versions of the software in the member cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ClusterVersion>,
}

/// How to reach the member cluster with one provider's credentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct AccessProvider {
    /// The API server of the member cluster, with the fields of a kubeconfig's cluster entry. No secrets belong here.
    pub cluster: Cluster,
    /// Name of the provider. Consumers choose a credential plugin by it.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// The API server of a member cluster, with the fields of a kubeconfig's cluster entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    /// CA certificates (PEM, base64) that the server certificate is verified against.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "byte"))]
    pub certificate_authority_data: Option<ByteString>,
    /// Whether clients must not request compressed responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_compression: Option<bool>,
    /// Additional data for the credential plugin, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub extensions: Option<Vec<Extension>>,
    /// Whether clients accept any server certificate. If true, an attacker on the network can read the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_tls_verify: Option<bool>,
    /// URL of a proxy between clients and the server: http, https or socks5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("self == '' || (isURL(self) && url(self).getScheme() in ['http', 'https', 'socks5'] && url(self).getHost() != '')")
            .message("proxy-url must be a valid URL with scheme http, https, or socks5 and a host")
    )]
    pub proxy_url: Option<String>,
    /// URL of the API server: absolute, with a host.
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && url(self).getHost() != ''")
            .message("server must be a valid absolute URL with a host")
    )]
    pub server: String,
    /// Name that clients expect in the server's certificate, in place of the host of `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub tls_server_name: Option<String>,
}

/// A named piece of configuration for a credential plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Extension {
    /// The configuration. The name defines its form.
    #[schemars(schema_with = "super::status::any_object")]
    pub extension: Map<String, Value>,
    /// Purpose of the configuration.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}
