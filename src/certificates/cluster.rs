//! Every request to the API server: for the Secret, the Lease, the two webhook configurations, Events and the probe.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{
            MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
        },
        coordination::v1::Lease,
        core::v1::{ObjectReference, Secret},
        events::v1::Event,
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams, Request},
    client::Body,
    core::Status,
};
use serde_json::{Value, json};

use super::{CertificatesError, Names, bundle::Bundle, state::Data};
use crate::{
    admission::{PROBE, PROBE_ANNOTATION, Probe},
    crd::v1alpha1::ClusterProfile,
    kube::client,
    review::Phase,
};

/// Timeout of a request: longer than a healthy API server needs, and shorter than a Lease.
const ANSWER: Duration = Duration::from_secs(10);

/// The field manager of caBundle in both configurations.
const BUNDLE_MANAGER: &str = "clusterprofile-webhook-certificates";

/// The field manager of failurePolicy. A separate one, so that without arming the webhook does not own the field.
const ARMING_MANAGER: &str = "clusterprofile-webhook-arming";

mod watch;

/// A client of the API server for the objects that belong to the webhook.
pub(super) struct Cluster {
    pub(super) names: Names,
    pub(super) namespace: String,
    client: Client,
    secrets: Api<Secret>,
    leases: Api<Lease>,
    mutating: Api<MutatingWebhookConfiguration>,
    validating: Api<ValidatingWebhookConfiguration>,
    profiles: Api<ClusterProfile>,
    events: Api<Event>,
}

/// The objects that a rotation depends on, as last read.
pub(super) struct Snapshot {
    /// The Secret, with the resourceVersion that a write needs. None if it does not exist.
    pub(super) secret: Option<Secret>,
    /// The configurations that exist.
    pub(super) live: Vec<Live>,
}

/// A webhook configuration that exists.
pub(super) struct Live {
    pub(super) phase: Phase,
    pub(super) uid: Option<String>,
    version: Option<String>,
    pub(super) webhooks: Vec<Webhook>,
}

/// One of its webhooks.
pub(super) struct Webhook {
    pub(super) name: String,
    pub(super) bundle: Bundle,
    /// Whether its failurePolicy is Fail.
    pub(super) is_armed: bool,
}

/// The answer to a probe.
pub(super) enum Probed {
    Accepted {
        /// The values of its `Warning` headers, which come from webhooks.
        warnings: Vec<String>,
    },
    Refused {
        /// The message of the API server.
        message: String,
        /// The values of its `Warning` headers, which come from webhooks.
        warnings: Vec<String>,
    },
}

impl Cluster {
    /// Makes a client with the Pod's service account, or else with the kubeconfig. Sends no request.
    ///
    /// # Errors
    ///
    /// [`CertificatesError`] if neither exists, or the client cannot be made.
    pub(super) async fn connect(names: Names) -> Result<Self, CertificatesError> {
        let client = client::client().await?;
        let namespace = names.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        Ok(Self {
            secrets: Api::namespaced(client.clone(), &namespace),
            leases: Api::namespaced(client.clone(), &namespace),
            profiles: Api::namespaced(client.clone(), &namespace),
            events: Api::namespaced(client.clone(), EVENTS),
            mutating: Api::all(client.clone()),
            validating: Api::all(client.clone()),
            names,
            namespace,
            client,
        })
    }

    /// Reads the Secret and the configurations.
    pub(super) async fn read(&self) -> Result<Snapshot, CertificatesError> {
        let secret = ask("read the Secret", self.secrets.get_opt(&self.names.secret)).await?;
        let name = &self.names.configuration;
        let mutating = ask("read a webhook configuration", self.mutating.get_opt(name)).await?;
        let validating = ask("read a webhook configuration", self.validating.get_opt(name)).await?;
        let live = mutating.map(Live::from).into_iter().chain(validating.map(Live::from)).collect();
        Ok(Snapshot { secret, live })
    }

    /// Replaces the data of the Secret, unless it was written since it was read. Creates the Secret if it did not exist: some
    /// tools prune or skip an empty one.
    pub(super) async fn store(&self, secret: Option<&Secret>, data: Data) -> Result<(), CertificatesError> {
        let data = Some(data.into_iter().map(|(name, value)| (name, ByteString(value))).collect());
        let (name, params) = (&self.names.secret, PostParams::default());
        let stored = if let Some(secret) = secret {
            let secret = Secret { data, ..secret.clone() };
            ask("write the Secret", self.secrets.replace(name, &params, &secret)).await
        } else {
            let secret = Secret { data, metadata: named(name), ..Secret::default() };
            ask("create the missing Secret", self.secrets.create(&params, &secret)).await
        };
        stored.map(drop)
    }

    /// Sets the caBundle of every webhook of a configuration.
    pub(super) async fn publish(&self, live: &Live, bundle: &Bundle) -> Result<(), CertificatesError> {
        let bundle = STANDARD.encode(bundle.pem());
        self.apply(live, BUNDLE_MANAGER, &json!({"clientConfig": {"caBundle": bundle}})).await
    }

    /// Sets failurePolicy of every webhook of a configuration to Fail.
    pub(super) async fn arm(&self, live: &Live) -> Result<(), CertificatesError> {
        self.apply(live, ARMING_MANAGER, &json!({"failurePolicy": "Fail"})).await
    }

    /// Applies `fields` to each webhook of a configuration, if it has not changed since it was read.
    ///
    /// The uid and the version also prevent that applying creates a configuration which was deleted meanwhile. The types of
    /// `k8s-openapi` do not fit: their required fields would be applied, and owned, too.
    async fn apply(&self, live: &Live, manager: &str, fields: &Value) -> Result<(), CertificatesError> {
        let webhooks = live.webhooks.iter().map(|webhook| {
            let mut fields = fields.clone();
            json_patch::merge(&mut fields, &json!({"name": webhook.name}));
            fields
        });
        let name = &self.names.configuration;
        let applied = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": live.kind(),
            "metadata": {"name": name, "uid": live.uid, "resourceVersion": live.version},
            "webhooks": webhooks.collect::<Vec<_>>(),
        });
        let params = PatchParams::apply(manager).force();
        let patch = Patch::Apply(applied);
        let operation = "write a webhook configuration";
        match live.phase {
            Phase::Mutate => ask(operation, self.mutating.patch(name, &params, &patch)).await.map(drop),
            Phase::Validate => ask(operation, self.validating.patch(name, &params, &patch)).await.map(drop),
        }
    }

    /// Sends a profile that a rule denies, as a dry run.
    pub(super) async fn probe(&self, probe: &Probe) -> Result<Probed, CertificatesError> {
        let profile = json!({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1",
            "kind": "ClusterProfile",
            "metadata": {
                "name": PROBE,
                "labels": {"x-k8s.io/cluster-manager": "another"},
                "annotations": {PROBE_ANNOTATION: probe.value()},
            },
            "spec": {"displayName": "probe", "clusterManager": {"name": PROBE}},
        });
        let params = PostParams { dry_run: true, field_manager: None };
        // kube's create returns no headers.
        let answer = async {
            let request = Request::new(self.profiles.resource_url()).create(&params, profile.to_string().into_bytes());
            let response = self.client.send(request.map_err(kube::Error::BuildRequest)?.map(Body::from)).await?;
            let (head, body) = response.into_parts();
            Ok((head, body.collect().await?.to_bytes()))
        };
        let (head, body) = ask("send a profile as a dry run", answer).await?;
        let warnings = head.headers.get_all("warning").iter();
        let warnings = warnings.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        if head.status.is_success() {
            return Ok(Probed::Accepted { warnings });
        }
        let message = serde_json::from_slice::<Status>(&body).map(|status| status.message).unwrap_or_default();
        let message = if message.is_empty() { format!("HTTP status {}", head.status.as_u16()) } else { message };
        Ok(Probed::Refused { message, warnings })
    }

    /// Reads the Lease, if it exists.
    pub(super) async fn lease(&self) -> Result<Option<Lease>, CertificatesError> {
        ask("read the Lease", self.leases.get_opt(&self.names.lease)).await
    }

    /// Creates the Lease without a holder, unless another replica has created it meanwhile.
    pub(super) async fn create_lease(&self) -> Result<Lease, CertificatesError> {
        let lease = Lease { metadata: named(&self.names.lease), ..Lease::default() };
        ask("create the missing Lease", self.leases.create(&PostParams::default(), &lease)).await
    }

    /// Writes the Lease, unless it was written since it was read.
    pub(super) async fn store_lease(&self, lease: &Lease) -> Result<(), CertificatesError> {
        let params = PostParams::default();
        ask("write the Lease", self.leases.replace(&self.names.lease, &params, lease)).await.map(drop)
    }

    /// Emits an Event of this replica about the validating configuration.
    pub(super) async fn emit(&self, identity: &str, reason: &str, note: &str) -> Result<(), CertificatesError> {
        let event = Event {
            metadata: ObjectMeta {
                generate_name: Some("clusterprofile-webhook-".to_owned()),
                namespace: Some(EVENTS.to_owned()),
                ..ObjectMeta::default()
            },
            regarding: Some(ObjectReference {
                api_version: Some("admissionregistration.k8s.io/v1".to_owned()),
                kind: Some("ValidatingWebhookConfiguration".to_owned()),
                name: Some(self.names.configuration.clone()),
                ..ObjectReference::default()
            }),
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some("clusterprofile-webhook".to_owned()),
            reporting_instance: Some(identity.to_owned()),
            action: Some("ManageCertificates".to_owned()),
            type_: Some("Normal".to_owned()),
            reason: Some(reason.to_owned()),
            note: Some(note.to_owned()),
            ..Event::default()
        };
        ask("write an Event", self.events.create(&PostParams::default(), &event)).await.map(drop)
    }
}

/// The namespace for Events of cluster-scoped objects.
const EVENTS: &str = "default";

impl Snapshot {
    /// The validating configuration, if it exists and has a webhook.
    pub(super) fn validating(&self) -> Option<&Live> {
        self.live.iter().find(|live| live.phase == Phase::Validate && !live.webhooks.is_empty())
    }

    /// The data of the Secret; empty if it does not exist.
    pub(super) fn data(&self) -> Data {
        let data = self.secret.iter().flat_map(|secret| &secret.data).flatten();
        data.map(|(name, value)| (name.clone(), value.0.clone())).collect()
    }

    /// The bundle of every webhook of every live configuration.
    pub(super) fn bundles(&self) -> Vec<&Bundle> {
        self.live.iter().flat_map(|live| &live.webhooks).map(|webhook| &webhook.bundle).collect()
    }
}

impl From<MutatingWebhookConfiguration> for Live {
    fn from(configuration: MutatingWebhookConfiguration) -> Self {
        let webhooks = configuration.webhooks.into_iter().flatten();
        let webhooks = webhooks.map(|it| Webhook::new(it.name, it.client_config, it.failure_policy.as_deref()));
        Self::new(Phase::Mutate, configuration.metadata, webhooks.collect())
    }
}

impl From<ValidatingWebhookConfiguration> for Live {
    fn from(configuration: ValidatingWebhookConfiguration) -> Self {
        let webhooks = configuration.webhooks.into_iter().flatten();
        let webhooks = webhooks.map(|it| Webhook::new(it.name, it.client_config, it.failure_policy.as_deref()));
        Self::new(Phase::Validate, configuration.metadata, webhooks.collect())
    }
}

impl Live {
    fn new(phase: Phase, metadata: ObjectMeta, webhooks: Vec<Webhook>) -> Self {
        Self { phase, uid: metadata.uid, version: metadata.resource_version, webhooks }
    }

    fn kind(&self) -> &'static str {
        match self.phase {
            Phase::Mutate => "MutatingWebhookConfiguration",
            Phase::Validate => "ValidatingWebhookConfiguration",
        }
    }
}

impl Webhook {
    fn new(name: String, client: WebhookClientConfig, failure_policy: Option<&str>) -> Self {
        let bundle = Bundle::parse(&client.ca_bundle.unwrap_or_default().0);
        Self { name, bundle, is_armed: failure_policy == Some("Fail") }
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

async fn ask<T>(
    operation: &'static str,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, CertificatesError> {
    let answer = tokio::time::timeout(ANSWER, answer).await.map_err(|_| CertificatesError::Timeout { operation })?;
    answer.map_err(|error| match error {
        kube::Error::Api(status) => CertificatesError::Refused { operation, status },
        source => CertificatesError::Request { operation, source },
    })
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cluster")
    }
}
