//! Typical admission reviews, as an API server sends them: compact JSON with sorted keys, and `managedFields` in both
//! objects.
//!
//! They are generated from constants, so that they have the same bytes in every run on every machine. Their shape is
//! that of `tests/data/admission-reviews`, which were recorded from a real API server.

#![expect(clippy::indexing_slicing, reason = "a key that is assigned to is made")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

/// The name of a review, and the function that generates it.
pub type Body = (&'static str, fn() -> Vec<u8>);

/// The reviews that benchmarks measure.
pub const BODIES: [Body; 3] = [("3 KB", create), ("36 KB", update), ("2.4 MB", large)];

/// The lengths of the lists in a status.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub properties: usize,
    pub conditions: usize,
    pub providers: usize,
}

/// A create by `kubectl apply`, without a display name, so that /mutate has something to fill in.
fn create() -> Vec<u8> {
    let text = text(0, 20);
    let manifest = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {
            "annotations": {
                "argocd.argoproj.io/tracking-id": "inventory:multicluster.x-k8s.io/ClusterProfile:fleet/spoke-1",
                "example.com/description": text,
                "example.com/owner": "platform-team@example.com",
            },
            "labels": labels(),
            "name": "spoke-1",
            "namespace": "fleet",
        },
        "spec": spec(),
    });
    let mut object = manifest.clone();
    object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
        format!("{manifest}\n").into();
    let owned = json!({
        "f:metadata": {
            "f:annotations": {
                ".": {},
                "f:argocd.argoproj.io/tracking-id": {},
                "f:example.com/description": {},
                "f:example.com/owner": {},
                "f:kubectl.kubernetes.io/last-applied-configuration": {},
            },
            "f:labels": owned_labels(),
        },
        "f:spec": owned_spec(),
    });
    object["metadata"]["managedFields"] = json!([managed("kubectl-client-side-apply", "", &owned)]);
    review("CREATE", "", &object, &Value::Null)
}

/// An update of a typical status by a cluster manager.
fn update() -> Vec<u8> {
    growing(Counts { properties: 30, conditions: 6, providers: 3 })
}

/// An update with two objects of about the largest size that etcd accepts.
fn large() -> Vec<u8> {
    status_update(Counts { properties: 1000, ..Counts::default() }, 1000)
}

/// A status update with lists of these lengths.
pub fn growing(counts: Counts) -> Vec<u8> {
    status_update(counts, 50)
}

/// An update of the status that changes one property, one condition and the time of the last write.
fn status_update(counts: Counts, value_bytes: usize) -> Vec<u8> {
    review("UPDATE", "status", &stored(counts, value_bytes, 1), &stored(counts, value_bytes, 0))
}

fn stored(counts: Counts, value_bytes: usize, edition: usize) -> Value {
    let Counts { properties, conditions, providers } = counts;
    let mut status = json!({
        "conditions": (0..conditions).map(|index| condition(index, edition)).collect::<Vec<_>>(),
        "properties": (0..properties).map(|index| property(index, value_bytes, edition)).collect::<Vec<_>>(),
        "version": {"kubernetes": "v1.34.1"},
    });
    if providers > 0 {
        status["accessProviders"] = (0..providers).map(provider).collect();
    }
    json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {
            "creationTimestamp": "2026-03-01T09:00:00Z",
            "generation": 3,
            "labels": labels(),
            "managedFields": [
                managed("registration", "", &json!({"f:metadata": {"f:labels": owned_labels()}, "f:spec": owned_spec()})),
                managed("registration", "status", &json!({"f:status": owned_status(counts)})),
            ],
            "name": "spoke-1",
            "namespace": "fleet",
            "resourceVersion": "184467",
            "uid": "7741cc95-592a-48c3-aa98-b88611e6e270",
        },
        "spec": spec(),
        "status": status,
    })
}

fn labels() -> Value {
    json!({
        "multicluster.x-k8s.io/clusterset": "production",
        "open-cluster-management.io/cluster-name": "spoke-1",
        "topology.kubernetes.io/region": "eu-central-1",
        "x-k8s.io/cluster-manager": "open-cluster-management",
    })
}

fn owned_labels() -> Value {
    json!({
        ".": {},
        "f:multicluster.x-k8s.io/clusterset": {},
        "f:open-cluster-management.io/cluster-name": {},
        "f:topology.kubernetes.io/region": {},
        "f:x-k8s.io/cluster-manager": {},
    })
}

fn spec() -> Value {
    json!({"clusterManager": {"name": "open-cluster-management"}})
}

fn owned_spec() -> Value {
    json!({".": {}, "f:clusterManager": {".": {}, "f:name": {}}})
}

fn property(index: usize, value_bytes: usize, edition: usize) -> Value {
    let value = text(if index == 0 { edition } else { index }, value_bytes);
    json!({"lastObservedTime": "2026-03-01T10:00:00Z", "name": property_name(index), "value": value})
}

fn property_name(index: usize) -> String {
    format!("capacity-{index:04}.inventory.example.com")
}

fn condition(index: usize, edition: usize) -> Value {
    let (status, time) =
        if index == 0 && edition == 1 { ("False", "2026-03-01T10:00:00Z") } else { ("True", "2026-03-01T09:00:00Z") };
    json!({
        "lastTransitionTime": time,
        "message": text(index, 80),
        "observedGeneration": 3,
        "reason": "ReportedByAgent",
        "status": status,
        "type": condition_type(index),
    })
}

fn condition_type(index: usize) -> String {
    match index {
        0 => "ControlPlaneHealthy".to_owned(),
        1 => "Joined".to_owned(),
        _ => format!("AddOnAvailable{index:04}"),
    }
}

fn provider(index: usize) -> Value {
    json!({
        "cluster": {
            // A CA certificate as kubeadm makes it: RSA with 2048 bits. It expires in a hundred years.
            "certificate-authority-data": STANDARD.encode(include_str!("ca.crt")),
            "extensions": [{
                "extension": {"CLIENT_ID": "inventory-reader", "TENANT_ID": format!("tenant-{index:04}")},
                "name": "clusterprofiles.multicluster.x-k8s.io/exec/additional-envs",
            }],
            "server": format!("https://spoke-1.gateway-{index:04}.example.com:6443"),
        },
        "name": provider_name(index),
    })
}

fn provider_name(index: usize) -> String {
    format!("gateway-{index:04}")
}

fn owned_status(counts: Counts) -> Value {
    let Counts { properties, conditions, providers } = counts;
    let fields = |fields: &[&str]| -> Value {
        let owned: Map<_, _> = [(".".to_owned(), json!({}))]
            .into_iter()
            .chain(fields.iter().map(|field| (format!("f:{field}"), json!({}))))
            .collect();
        owned.into()
    };
    let items = |count, key: &str, name: fn(usize) -> String, item: &Value| -> Value {
        let owned: Map<_, _> = [(".".to_owned(), json!({}))]
            .into_iter()
            .chain((0..count).map(|index| (format!("k:{}", json!({ key: name(index) })), item.clone())))
            .collect();
        owned.into()
    };
    let condition = ["lastTransitionTime", "message", "observedGeneration", "reason", "status", "type"];
    let mut provider = fields(&["cluster", "name"]);
    provider["f:cluster"] = fields(&["certificate-authority-data", "extensions", "server"]);
    let mut owned = json!({
        ".": {},
        "f:conditions": items(conditions, "type", condition_type, &fields(&condition)),
        "f:properties":
            items(properties, "name", property_name, &fields(&["lastObservedTime", "name", "value"])),
        "f:version": fields(&["kubernetes"]),
    });
    if providers > 0 {
        owned["f:accessProviders"] = items(providers, "name", provider_name, &provider);
    }
    owned
}

fn managed(manager: &str, subresource: &str, fields: &Value) -> Value {
    let mut entry = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        "manager": manager,
        "operation": "Update",
        "time": "2026-03-01T10:00:00Z",
    });
    if !subresource.is_empty() {
        entry["subresource"] = subresource.into();
    }
    entry
}

/// The `AdmissionReview`, with its fields in the order in which Go writes them.
fn review(operation: &str, subresource: &str, object: &Value, old_object: &Value) -> Vec<u8> {
    let kind = r#"{"group":"multicluster.x-k8s.io","version":"v1alpha1","kind":"ClusterProfile"}"#;
    let resource = r#"{"group":"multicluster.x-k8s.io","version":"v1alpha1","resource":"clusterprofiles"}"#;
    let (sub, request_sub) = match subresource {
        "" => (String::new(), String::new()),
        name => (format!(r#""subResource":"{name}","#), format!(r#""requestSubResource":"{name}","#)),
    };
    let options = if operation == "CREATE" { "CreateOptions" } else { "UpdateOptions" };
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"{UID}","kind":{kind},"resource":{resource},{sub}"requestKind":{kind},"requestResource":{resource},{request_sub}"name":"spoke-1","namespace":"fleet","operation":"{operation}","userInfo":{USER},"object":{object},"oldObject":{old_object},"dryRun":false,"options":{{"kind":"{options}","apiVersion":"meta.k8s.io/v1"}}}}}}"#
    )
    .into_bytes()
}

const UID: &str = "672587ac-6b43-426c-8a76-8a2aedea26de";

const USER: &str = r#"{"username":"system:serviceaccount:open-cluster-management-hub:registration-controller-sa","uid":"0b1e6cc8-3d9a-4a55-9d61-5a6f0f8f2f11","groups":["system:serviceaccounts","system:serviceaccounts:open-cluster-management-hub","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=89880698-311b-43e6-b940-f1ff2bf9f00c"],"authentication.kubernetes.io/node-name":["hub-worker-2"],"authentication.kubernetes.io/pod-name":["registration-controller-6f7d8b9c5-x2x7k"]}}"#;

/// Text of `bytes` bytes: words and identifiers, different for each seed.
fn text(seed: usize, bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -";
    let mut state = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let letters = (0..bytes).map(|_| {
        // Knuth's linear congruential generator, of which the high bits are good.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let index = usize::try_from(state >> 58).expect("six bits are few");
        char::from(LETTERS.get(index).copied().unwrap_or(b' '))
    });
    letters.collect()
}
