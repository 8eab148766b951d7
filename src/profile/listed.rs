//! The objects that stand in lists of a ClusterProfile.

use std::hash::{Hash, Hasher};

use super::{Body, Items, object::listed};

listed! {
    /// `status.properties[*]`
    Property[3] {
        /// Unique in the list.
        0 "name" => name: &'a str,
        /// At most 1024 code points.
        1 "value" => value: &'a str,
        /// RFC 3339.
        2 "lastObservedTime" => last_observed_time: &'a str,
    }
}

listed! {
    /// `status.conditions[*]`, a `metav1.Condition`.
    Condition[6] {
        /// Unique in the list.
        0 "type" => kind: &'a str,
        /// `True`, `False` or `Unknown`.
        1 "status" => status: &'a str,
        /// One word in CamelCase.
        2 "reason" => reason: &'a str,
        /// For people; may be empty.
        3 "message" => message: &'a str,
        /// RFC 3339.
        4 "lastTransitionTime" => last_transition_time: &'a str,
        /// Generation of the object that the condition was made from.
        5 "observedGeneration" => observed_generation: i64,
    }
}

impl Hash for Condition<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind(), self.status(), self.reason(), self.message()).hash(state);
        (self.last_transition_time(), self.observed_generation()).hash(state);
    }
}

listed! {
    /// `status.accessProviders[*]`
    AccessProvider[2] {
        /// Unique in the list.
        0 "name" => name: &'a str,
        /// How to reach the member cluster.
        1 "cluster" => cluster: Cluster<'a>,
    }
}

listed! {
    /// `status.accessProviders[*].cluster`, client-go's `clientcmd/api/v1.Cluster`.
    Cluster[8] {
        /// URL of the API server.
        0 "server" => server: &'a str,
        /// Host name to expect in the server's certificate.
        1 "tls-server-name" => tls_server_name: &'a str,
        /// Whether a consumer is told to trust any certificate.
        2 "insecure-skip-tls-verify" => insecure_skip_tls_verify: bool,
        /// Path of a file on the consumer's machine.
        3 "certificate-authority" => certificate_authority: &'a str,
        /// PEM certificates in base64.
        4 "certificate-authority-data" => certificate_authority_data: &'a str,
        /// URL of a proxy.
        5 "proxy-url" => proxy_url: &'a str,
        /// Whether a consumer is told not to ask for gzip.
        6 "disable-compression" => disable_compression: bool,
        /// `extensions`
        7 "extensions" => extensions: &'a Items<'a, Extension<'a>>,
    }
}

listed! {
    /// `extensions[*]`, client-go's `NamedExtension`.
    Extension[2] {
        /// Says who reads the extension.
        0 "name" => name: &'a str,
        /// Any JSON; null is absent.
        1 "extension" => extension: Body<'a>,
    }
}
