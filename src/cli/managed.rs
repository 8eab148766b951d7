//! Flags of certificates that the webhook manages itself.

use std::time::Duration;

use clap::{Args, builder::BoolishValueParser};
use clusterprofile_webhook::{
    certificates::{Lifetimes, Names, Options},
    units,
};

/// Flags of `serve --service`; without it, none of them says anything.
#[derive(Args)]
pub(super) struct Managed {
    /// Manage certificates for this Service: an authority in a Secret, a leaf in memory, caBundle in the webhook
    /// configurations; wants a service account, or KUBECONFIG
    #[arg(long, value_name = "NAME", env = "CLUSTERPROFILE_WEBHOOK_SERVICE")]
    pub(super) service: Option<String>,
    /// Where the Service, the Secret and the Lease are; by default where the service account is
    #[arg(long, value_name = "NAME", env = "CLUSTERPROFILE_WEBHOOK_NAMESPACE")]
    namespace: Option<String>,
    /// The Secret of the authorities, which must exist, if only empty
    #[arg(
        long,
        value_name = "NAME",
        default_value = "clusterprofile-webhook-authority",
        env = "CLUSTERPROFILE_WEBHOOK_SECRET"
    )]
    secret: String,
    /// The Lease that elects the replica which writes, which must exist, if only empty
    #[arg(long, value_name = "NAME", default_value = "clusterprofile-webhook", env = "CLUSTERPROFILE_WEBHOOK_LEASE")]
    lease: String,
    /// The webhook configurations, mutating and validating; one that does not exist is not created
    #[arg(
        long,
        value_name = "NAME",
        default_value = "clusterprofile-webhook",
        env = "CLUSTERPROFILE_WEBHOOK_CONFIGURATION"
    )]
    configuration: String,
    /// How long a leaf is valid; it is renewed when two thirds of it have passed
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_LEAF_LIFETIME")]
    leaf_lifetime: Duration,
    /// How long an authority is valid; another takes its place when two thirds of it have passed, so that by default there
    /// are four months for whatever is in the way
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_CA_LIFETIME")]
    ca_lifetime: Duration,
    /// How long a new authority must have been trusted by both webhook configurations before it signs
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_CA_OVERLAP")]
    ca_overlap: Duration,
    /// How long the replica that writes may be silent until another takes its place
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = units::duration, env = "CLUSTERPROFILE_WEBHOOK_LEASE_DURATION")]
    lease_duration: Duration,
    /// Leave failurePolicy alone; else the validating webhook configuration fails closed once a dry run was denied
    #[arg(long, env = "CLUSTERPROFILE_WEBHOOK_NO_ARMING", value_parser = BoolishValueParser::new())]
    no_arming: bool,
}

impl Managed {
    /// For the Service of that name.
    ///
    /// # Errors
    ///
    /// What does not go together.
    pub(super) fn options(&self, service: &str) -> anyhow::Result<Options> {
        /// Whatever is valid for longer is renewed by nobody who remembers how.
        const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);
        /// X.509 and Leases count whole seconds.
        const SHORTEST: Duration = Duration::from_secs(1);
        for (flag, lifetime) in [("--leaf-lifetime", self.leaf_lifetime), ("--ca-lifetime", self.ca_lifetime)] {
            anyhow::ensure!((SHORTEST..=LONGEST).contains(&lifetime), "{flag} must be from 1s to 3650d");
        }
        anyhow::ensure!(
            self.leaf_lifetime <= self.ca_lifetime,
            "--leaf-lifetime must not be longer than --ca-lifetime"
        );
        // In the last third of its life an authority is replaced; half of that must do.
        anyhow::ensure!(
            self.ca_lifetime >= self.ca_overlap * 6,
            "--ca-lifetime must be six times --ca-overlap or more"
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
