//! The JSON name of each field outside lists, and the function that reads it.

use super::{
    Body, ClusterManager, ClusterProfile, ClusterVersion, Field, Labels, Metadata, Spec, Status,
    read::{map_value, takes_object},
};

takes_object!(ClusterProfile {
    "metadata" => metadata = Field::read,
    "spec" => spec = Field::read,
    "status" => status = Field::read,
});
takes_object!(Metadata {
    "name" => name = Field::read,
    "deletionTimestamp" => deletion_timestamp = Field::read,
    "labels" => labels = Field::read,
    "annotations" => annotations = Body::read,
});
takes_object!(Labels {
    "x-k8s.io/cluster-manager" => cluster_manager = map_value,
    "multicluster.x-k8s.io/inventory-member-id" => inventory_member_id = map_value,
});
takes_object!(Spec {
    "displayName" => display_name = Field::read,
    "clusterManager" => cluster_manager = Field::read,
});
takes_object!(ClusterManager {
    "name" => name = Field::read,
});
takes_object!(Status {
    "version" => version = Field::read,
    "properties" => properties = Field::read,
    "conditions" => conditions = Field::read,
    "accessProviders" => access_providers = Field::read,
    "credentialProviders" => credential_providers = Field::read,
});
takes_object!(ClusterVersion {
    "kubernetes" => kubernetes = Field::read,
});
