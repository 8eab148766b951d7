//! Flags for self-managed certificates.

use std::time::Duration;

use clap::{Args, builder::BoolishValueParser};
use clusterprofile_webhook::{
    certificates::{Lifetimes, Names, Options},
    units,
};

/// Flags of `serve --service`. Without `--service`, the others have no effect.
#[derive(Args)]
pub(super) struct Managed {
    /// Manage certificates for this Service: keep a CA in a Secret, serve a leaf certificate signed in memory, and set
    /// caBundle in the webhook configurations. Requires a service account or KUBECONFIG
    #[arg(long, value_name = "NAME", env = "CLUSTERPROFILE_WEBHOOK_SERVICE")]
    pub(super) service: Option<String>,
    /// Namespace of the Service, the Secret and the Lease. By default that of the service account
    #[arg(long, value_name = "NAME", env = "CLUSTERPROFILE_WEBHOOK_NAMESPACE")]
    namespace: Option<String>,
    /// Secret for the CA. Created if it is missing
    #[arg(
        long,
        value_name = "NAME",
        default_value = "clusterprofile-webhook-authority",
        env = "CLUSTERPROFILE_WEBHOOK_SECRET"
    )]
    secret: String,
    /// Lease for leader election. Created if it is missing
    #[arg(long, value_name = "NAME", default_value = "clusterprofile-webhook", env = "CLUSTERPROFILE_WEBHOOK_LEASE")]
    lease: String,
    /// Name of the mutating and of the validating webhook configuration. A missing one is not created
    #[arg(
        long,
        value_name = "NAME",
        default_value = "clusterprofile-webhook",
        env = "CLUSTERPROFILE_WEBHOOK_CONFIGURATION"
    )]
    configuration: String,
    /// Lifetime of the leaf certificate. It is renewed after two thirds of it
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_LEAF_LIFETIME")]
    leaf_lifetime: Duration,
    /// Lifetime of the CA. The CA is rotated after two thirds of it, which by default leaves four months to correct a failing
    /// rotation
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_CA_LIFETIME")]
    ca_lifetime: Duration,
    /// How long both webhook configurations must have trusted a new CA before it signs
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_CA_OVERLAP")]
    ca_overlap: Duration,
    /// How long the leader may fail to renew the Lease before another replica takes over
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_LEASE_DURATION")]
    lease_duration: Duration,
    /// Never change failurePolicy. By default the leader sets it to Fail in the validating webhook configuration, once the
    /// webhook has denied a bad profile in a dry run
    #[arg(long, env = "CLUSTERPROFILE_WEBHOOK_NO_ARMING", value_parser = BoolishValueParser::new())]
    no_arming: bool,
}

impl Managed {
    /// The options for the Service of that name.
    ///
    /// # Errors
    ///
    /// Which values are out of range or contradict each other.
    pub(super) fn options(&self, service: &str) -> anyhow::Result<Options> {
        /// A longer lifetime is most likely a typing error.
        const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);
        /// X.509 and Leases have whole seconds.
        const SHORTEST: Duration = Duration::from_secs(1);
        for (flag, lifetime) in [("--leaf-lifetime", self.leaf_lifetime), ("--ca-lifetime", self.ca_lifetime)] {
            anyhow::ensure!((SHORTEST..=LONGEST).contains(&lifetime), "{flag} must be from 1s to 3650d");
        }
        anyhow::ensure!(
            self.leaf_lifetime <= self.ca_lifetime,
            "--leaf-lifetime must not be longer than --ca-lifetime"
        );
        // A CA is rotated in the last third of its lifetime, and the overlap must fit into half of that.
        anyhow::ensure!(
            self.ca_lifetime >= self.ca_overlap * 6,
            "--ca-lifetime must be at least six times --ca-overlap"
        );
        let lease = SHORTEST..=Duration::from_hours(1);
        anyhow::ensure!(lease.contains(&self.lease_duration), "--lease-duration must be from 1s to 1h");
        Ok(Options {
            names: Names {
                service: service.to_owned(),
                namespace: self.namespace.clone(),
                secret: self.secret.clone(),
                lease: self.lease.clone(),
                configuration: self.configuration.clone(),
            },
            lifetimes: Lifetimes { leaf: self.leaf_lifetime, ca: self.ca_lifetime, overlap: self.ca_overlap },
            lease: self.lease_duration,
            arming: !self.no_arming,
        })
    }
}
