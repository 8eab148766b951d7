//! The types of list items in a ClusterProfile.

use std::hash::{Hash, Hasher};

use super::{Body, Items, object::listed};

listed! {
    /// `status.properties[*]`
    Property[32 of 3] {
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
    Condition[8 of 6] {
        /// Unique in the list.
        0 "type" => kind: &'a str,
        /// `True`, `False` or `Unknown`.
        1 "status" => status: &'a str,
        /// A machine-readable word in CamelCase.
        2 "reason" => reason: &'a str,
        /// Human-readable text; may be empty.
        3 "message" => message: &'a str,
        /// RFC 3339.
        4 "lastTransitionTime" => last_transition_time: &'a str,
        /// The `metadata.generation` that the condition is based on.
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
    AccessProvider[4 of 2] {
        /// Unique in the list.
        0 "name" => name: &'a str,
        /// Connection settings for the member cluster's API server.
        1 "cluster" => cluster: Cluster<'a>,
    }
}

listed! {
    /// `status.accessProviders[*].cluster`, client-go's `clientcmd/api/v1.Cluster`.
    Cluster[4 of 8] {
        /// URL of the API server.
        0 "server" => server: &'a str,
        /// Host name that consumers verify the serving certificate against.
        1 "tls-server-name" => tls_server_name: &'a str,
        /// If true, consumers accept any serving certificate.
        2 "insecure-skip-tls-verify" => insecure_skip_tls_verify: bool,
        /// Path of a CA file on the consumer's machine.
        3 "certificate-authority" => certificate_authority: &'a str,
        /// CA certificates: PEM, encoded in base64.
        4 "certificate-authority-data" => certificate_authority_data: &'a str,
        /// URL of the proxy to the API server.
        5 "proxy-url" => proxy_url: &'a str,
        /// If true, consumers do not request gzip.
        6 "disable-compression" => disable_compression: bool,
        /// `extensions`
        7 "extensions" => extensions: &'a Items<'a, Extension<'a>>,
    }
}

listed! {
    /// `extensions[*]`, client-go's `NamedExtension`.
    Extension[1 of 2] {
        /// Identifies the consumer of the extension.
        0 "name" => name: &'a str,
        /// Any JSON. Null counts as absent.
        1 "extension" => extension: Body<'a>,
    }
}
