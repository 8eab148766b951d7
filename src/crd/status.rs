//! The types that the status of both versions shares.

#![expect(unreachable_pub, reason = "the derive repeats every public struct inside a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Versions of the software in the member cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterVersion {
    /// Version of Kubernetes, as the member cluster's API server reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<String>,
}

/// One named fact about the member cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// Time when the cluster manager last observed the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_observed_time: Option<Time>,
    /// Name of the fact: a well-known name of KEP-2149, or one that the cluster manager defines.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Value of the fact.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

/// One aspect of the member cluster's state, in the form that all Kubernetes APIs share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Time when the status last changed.
    pub last_transition_time: Time,
    /// Details for users; may be empty.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// The `metadata.generation` that the condition is based on.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Reason for the status, in one word for programs.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"))]
    pub reason: String,
    /// Whether the condition holds.
    pub status: ConditionStatus,
    /// Aspect of the state: `ControlPlaneHealthy`, `Joined`, or one that the cluster manager defines. Prefix it with a
    /// domain.
    #[schemars(
        length(max = 316),
        regex(
            pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
        )
    )]
    pub r#type: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// The cluster manager does not know.
    Unknown,
}

/// Schema of an object with any fields.
pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
