//! The names of fields in JSON, and what an object without any is.

use super::{
    AccessProvider, Blank, Body, Cluster, ClusterManager, ClusterProfile, ClusterVersion, Condition, Extension, Field,
    Labels, Metadata, Property, Spec, Status,
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
takes_object!(Property {
    "name" => name = Field::read,
    "value" => value = Field::read,
    "lastObservedTime" => last_observed_time = Field::read,
});
takes_object!(Condition {
    "type" => kind = Field::read,
    "status" => status = Field::read,
    "reason" => reason = Field::read,
    "message" => message = Field::read,
    "lastTransitionTime" => last_transition_time = Field::read,
    "observedGeneration" => observed_generation = Field::read,
});
takes_object!(AccessProvider {
    "name" => name = Field::read,
    "cluster" => cluster = Field::read,
});
takes_object!(Cluster {
    "server" => server = Field::read,
    "tls-server-name" => tls_server_name = Field::read,
    "insecure-skip-tls-verify" => insecure_skip_tls_verify = Field::read,
    "certificate-authority" => certificate_authority = Field::read,
    "certificate-authority-data" => certificate_authority_data = Field::read,
    "proxy-url" => proxy_url = Field::read,
    "disable-compression" => disable_compression = Field::read,
    "extensions" => extensions = Field::read,
});
takes_object!(Extension {
    "name" => name = Field::read,
    "extension" => extension = Body::read,
});

/// The value of a type that has no field set, as [`Blank`] wants it.
macro_rules! blank {
    ($type:ident { $($field:ident: $value:expr),+ $(,)? }) => {
        impl Blank for $type<'_> {
            fn blank<'b>() -> &'b Self
            where
                Self: 'b,
            {
                static BLANK: $type<'static> = $type { $($field: $value),+ };
                &BLANK
            }
        }
    };
}

blank!(Property { name: Field::Absent, value: Field::Absent, last_observed_time: Field::Absent });
blank!(Condition {
    kind: Field::Absent,
    status: Field::Absent,
    reason: Field::Absent,
    message: Field::Absent,
    last_transition_time: Field::Absent,
    observed_generation: Field::Absent,
});
blank!(AccessProvider { name: Field::Absent, cluster: Field::Absent });
blank!(Cluster {
    server: Field::Absent,
    tls_server_name: Field::Absent,
    insecure_skip_tls_verify: Field::Absent,
    certificate_authority: Field::Absent,
    certificate_authority_data: Field::Absent,
    proxy_url: Field::Absent,
    disable_compression: Field::Absent,
    extensions: Field::Absent,
});
blank!(Extension { name: Field::Absent, extension: None });
