//! Every request to the API server: for the Secret, the Lease, the two webhook configurations, Events and the probe.

use std::{collections::BTreeMap, fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::BodyExt as _;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams, Request},
    client::Body,
    core::Status,
};
use serde_json::{Value, json};

use super::{CertificatesError, Names, bundle::Bundle, state::Data};
use crate::{
    admission::{PROBE, PROBE_ANNOTATION, Probe},
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
    secrets: Api<DynamicObject>,
    leases: Api<DynamicObject>,
    mutating: Api<DynamicObject>,
    validating: Api<DynamicObject>,
    profiles: Api<DynamicObject>,
    events: Api<DynamicObject>,
}

/// The objects that a rotation depends on, as last read.
pub(super) struct Snapshot {
    /// The Secret, with the resourceVersion that a write needs.
    pub(super) secret: DynamicObject,
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
        let of = |namespace: &str, resource| Api::namespaced_with(client.clone(), namespace, &resource);
        let hooks = |kind: &str| {
            let resource = resource("admissionregistration.k8s.io", "v1", kind);
            Api::all_with(client.clone(), &resource)
        };
        Ok(Self {
            secrets: of(&namespace, resource("", "v1", "Secret")),
            leases: of(&namespace, resource("coordination.k8s.io", "v1", "Lease")),
            profiles: of(&namespace, resource("multicluster.x-k8s.io", "v1alpha1", "ClusterProfile")),
            events: of(EVENTS, resource("events.k8s.io", "v1", "Event")),
            mutating: hooks("MutatingWebhookConfiguration"),
            validating: hooks("ValidatingWebhookConfiguration"),
            names,
            namespace,
            client,
        })
    }

    /// Reads the Secret and the configurations.
    pub(super) async fn read(&self) -> Result<Snapshot, CertificatesError> {
        let secret = ask("read the Secret", self.secrets.get(&self.names.secret)).await?;
        let mut live = Vec::new();
        for (phase, api) in self.configurations() {
            let found = ask("read a webhook configuration", api.get_opt(&self.names.configuration)).await?;
            live.extend(found.map(|object| Live::of(phase, &object)));
        }
        Ok(Snapshot { secret, live })
    }

    /// Replaces the data of the Secret, unless it was written since it was read.
    pub(super) async fn store(&self, secret: &DynamicObject, data: &Data) -> Result<(), CertificatesError> {
        let mut secret = secret.clone();
        let data: BTreeMap<_, _> = data.iter().map(|(name, value)| (name, STANDARD.encode(value))).collect();
        set(&mut secret, "data", json!(data));
        let params = PostParams::default();
        ask("write the Secret", self.secrets.replace(&self.names.secret, &params, &secret)).await.map(drop)
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
    /// The uid and the version also prevent that applying creates a configuration which was deleted meanwhile.
    async fn apply(&self, live: &Live, manager: &str, fields: &Value) -> Result<(), CertificatesError> {
        let webhooks = live.webhooks.iter().map(|webhook| {
            let mut fields = fields.clone();
            json_patch::merge(&mut fields, &json!({"name": webhook.name}));
            fields
        });
        let name = &self.names.configuration;
        let (kind, api) = match live.phase {
            Phase::Mutate => ("MutatingWebhookConfiguration", &self.mutating),
            Phase::Validate => ("ValidatingWebhookConfiguration", &self.validating),
        };
        let applied = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name, "uid": live.uid, "resourceVersion": live.version},
            "webhooks": webhooks.collect::<Vec<_>>(),
        });
        let params = PatchParams::apply(manager).force();
        ask("write a webhook configuration", api.patch(name, &params, &Patch::Apply(applied))).await.map(drop)
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

    /// Reads the Lease.
    pub(super) async fn lease(&self) -> Result<DynamicObject, CertificatesError> {
        ask("read the Lease", self.leases.get(&self.names.lease)).await
    }

    /// Writes the Lease, unless it was written since it was read.
    pub(super) async fn store_lease(&self, lease: &DynamicObject) -> Result<(), CertificatesError> {
        let params = PostParams::default();
        ask("write the Lease", self.leases.replace(&self.names.lease, &params, lease)).await.map(drop)
    }

    /// Emits an Event about the validating configuration.
    pub(super) async fn emit(&self, event: &Value) -> Result<(), CertificatesError> {
        let mut whole = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": "clusterprofile-webhook-", "namespace": EVENTS},
            "regarding": {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "name": self.names.configuration,
            },
        });
        json_patch::merge(&mut whole, event);
        let event: DynamicObject = serde_json::from_value(whole).expect("an Event is an object");
        let params = PostParams::default();
        ask("write an Event", self.events.create(&params, &event)).await.map(drop)
    }

    fn configurations(&self) -> [(Phase, &Api<DynamicObject>); 2] {
        [(Phase::Mutate, &self.mutating), (Phase::Validate, &self.validating)]
    }
}

/// The namespace for Events of cluster-scoped objects.
const EVENTS: &str = "default";

impl Snapshot {
    /// The validating configuration, if it exists and has a webhook.
    pub(super) fn validating(&self) -> Option<&Live> {
        self.live.iter().find(|live| live.phase == Phase::Validate && !live.webhooks.is_empty())
    }

    /// The data of the Secret. Values that are not base64 are skipped.
    pub(super) fn data(&self) -> Data {
        let data = self.secret.data.get("data").and_then(Value::as_object).into_iter().flatten();
        let decoded = |value: &Value| STANDARD.decode(value.as_str()?).ok();
        data.filter_map(|(name, value)| Some((name.clone(), decoded(value)?))).collect()
    }

    /// The bundle of every webhook of every live configuration.
    pub(super) fn bundles(&self) -> Vec<&Bundle> {
        self.live.iter().flat_map(|live| &live.webhooks).map(|webhook| &webhook.bundle).collect()
    }
}

impl Live {
    fn of(phase: Phase, object: &DynamicObject) -> Self {
        let webhook = |webhook: &Value| {
            let bundle = text(webhook, "/clientConfig/caBundle");
            Webhook {
                name: text(webhook, "/name").to_owned(),
                bundle: Bundle::parse(&STANDARD.decode(bundle).unwrap_or_default()),
                is_armed: text(webhook, "/failurePolicy") == "Fail",
            }
        };
        let webhooks = object.data.get("webhooks").and_then(Value::as_array);
        let webhooks = webhooks.into_iter().flatten().map(webhook).collect();
        let metadata = &object.metadata;
        Self { phase, uid: metadata.uid.clone(), version: metadata.resource_version.clone(), webhooks }
    }
}

/// The string at a JSON Pointer, or an empty one.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Sets a top-level field.
pub(super) fn set(object: &mut DynamicObject, field: &str, value: Value) {
    if let Some(fields) = object.data.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let plural = format!("{}s", kind.to_lowercase());
    ApiResource { group: group.into(), version: version.into(), api_version, kind: kind.into(), plural }
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
