//! No response repeats a secret, whichever field it was put into.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on must end")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{
    admission,
    review::{Effect, Phase, Policy},
    rules::RULES,
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Fields with text.
const FIELDS: [&str; 25] = [
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/deletionTimestamp",
    "/metadata/annotations/example.com~1note",
    "/metadata/labels/x-k8s.io~1cluster-manager",
    "/metadata/labels/multicluster.x-k8s.io~1inventory-member-id",
    "/spec/displayName",
    "/spec/clusterManager/name",
    "/status/version/kubernetes",
    "/status/properties/0/name",
    "/status/properties/0/value",
    "/status/properties/0/lastObservedTime",
    "/status/conditions/0/type",
    "/status/conditions/0/status",
    "/status/conditions/0/reason",
    "/status/conditions/0/message",
    "/status/conditions/0/lastTransitionTime",
    "/status/conditions/0/observedGeneration",
    "/status/accessProviders/0/name",
    "/status/accessProviders/0/cluster/server",
    "/status/accessProviders/0/cluster/tls-server-name",
    "/status/accessProviders/0/cluster/certificate-authority",
    "/status/accessProviders/0/cluster/certificate-authority-data",
    "/status/accessProviders/0/cluster/proxy-url",
    "/status/accessProviders/0/cluster/extensions/0/name",
];

/// A field with any JSON, in which member names are checked too.
const EXTENSION: &str = "/status/accessProviders/0/cluster/extensions/0/extension";

const ENVIRONMENT: &str = "clusterprofiles.multicluster.x-k8s.io/exec/additional-envs";

/// A secret, and parts of it that no response may repeat.
struct Secret {
    text: String,
    parts: Vec<String>,
}

#[test]
fn no_response_shows_a_secret() {
    for secret in secrets() {
        let clean = profile(&[]);
        for (field, dirty) in dirty(&secret) {
            for (new, old) in [(&dirty, None), (&dirty, Some(&clean)), (&clean, Some(&dirty)), (&dirty, Some(&dirty))] {
                for subresource in ["", "status"] {
                    let body = review(new, old, subresource);
                    ask(&body, &secret, &format!("{field}: {}", secret.text));
                }
            }
        }
    }
}

fn secrets() -> Vec<Secret> {
    let key =
        "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5LCBidXQgb2YgdGhlIHNoYXBlIG9mIG9uZQ==\n-----END PRIVATE KEY-----\n";
    let encoded = STANDARD.encode(key);
    let folded: Vec<_> = encoded.as_bytes().chunks(20).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.bm90LWEtc2lnbmF0dXJl";
    let secret = |text: &str, parts: &[&str]| Secret {
        text: text.to_owned(),
        parts: parts.iter().map(|part| (*part).to_owned()).collect(),
    };
    vec![
        secret(key, &["PRIVATE KEY", "bm90IGEga2V5"]),
        secret(&encoded, &["LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t"]),
        secret(&format!("client-key-data: {encoded}"), &["LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t"]),
        secret(token, &["eyJhbGciOiJub25lIn0", "eyJzdWIiOiJub2JvZHkifQ", "bm90LWEtc2lnbmF0dXJl"]),
        secret("https://admin:hunter2@spoke-1.example.com", &["hunter2"]),
        secret("http:/admin:hunter2@spoke-1.example.com", &["hunter2"]),
        secret("https://admin:7hunter2%40spoke-1.example.com:6443", &["hunter2"]),
        secret("https://admin%3Ahunter2@spoke-1.example.com", &["hunter2"]),
        secret("https://admin%253Ahunter2@spoke-1.example.com", &["hunter2"]),
        secret(&folded.join(" "), &folded.iter().map(String::as_str).collect::<Vec<_>>()),
        secret("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBGI\n", &["lQVYBGI", "PRIVATE KEY"]),
        secret("PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nAAAAIBcd\n", &["PuTTY", "AAAAIBcd"]),
        secret("MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f", &["MC4CAQAwBQYDK2Vw"]),
        secret("admin:hunter2@spoke-1.example.com or ops@example.com", &["hunter2"]),
    ]
}

/// Returns a profile for each field, with the secret in it.
fn dirty(secret: &Secret) -> Vec<(&'static str, Value)> {
    let text = json!(secret.text);
    let extensions = [json!({ &*secret.text: 5 }), json!({ "LD_PRELOAD": &text }), json!([&text]), text.clone()];
    let places = FIELDS.map(|field| (field, text.clone())).into_iter().chain(extensions.map(|it| (EXTENSION, it)));
    places.map(|place| (place.0, profile(&[place]))).collect()
}

/// A profile with these values. Each list has every item twice.
fn profile(values: &[(&str, Value)]) -> Value {
    let mut profile = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {
            "name": "a",
            "namespace": "b",
            "deletionTimestamp": null,
            "annotations": { "example.com/note": "" },
            "labels": { "x-k8s.io/cluster-manager": "ocm", "multicluster.x-k8s.io/inventory-member-id": "a" },
        },
        "spec": { "displayName": "a", "clusterManager": { "name": "ocm" } },
        "status": {
            "version": { "kubernetes": "v1.34.1" },
            "properties": [{ "name": "id.k8s.io", "value": "a", "lastObservedTime": "2025-01-01T00:00:00Z" }],
            "conditions": [{
                "type": "Joined",
                "status": "True",
                "reason": "A",
                "message": "",
                "lastTransitionTime": "2025-01-01T00:00:00Z",
                "observedGeneration": 1,
            }],
            "accessProviders": [{ "name": "a", "cluster": {
                "server": "https://a",
                "tls-server-name": "a",
                "certificate-authority": "",
                "certificate-authority-data": null,
                "proxy-url": "http://p",
                "extensions": [{ "name": ENVIRONMENT, "extension": {} }],
            } }],
        },
    });
    for (pointer, value) in values {
        *profile.pointer_mut(pointer).expect("the profile has the field") = value.clone();
    }
    for list in ["/accessProviders/0/cluster/extensions", "/properties", "/conditions", "/accessProviders"] {
        let list = profile.pointer_mut(&format!("/status{list}")).and_then(Value::as_array_mut).expect("it is a list");
        list.extend(list.clone());
    }
    let properties = profile.pointer_mut("/status/properties").and_then(Value::as_array_mut).expect("it is a list");
    properties.push(json!({ "name": "clusterset.k8s.io", "value": "s" }));
    profile["status"]["credentialProviders"] = profile["status"]["accessProviders"].clone();
    profile
}

fn review(new: &Value, old: Option<&Value>, subresource: &str) -> Vec<u8> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u",
            "kind": { "group": "multicluster.x-k8s.io", "version": "v1alpha1", "kind": "ClusterProfile" },
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "subResource": subresource,
            "name": new["metadata"]["name"],
            "namespace": new["metadata"]["namespace"],
            "object": new,
            "oldObject": old,
        },
    });
    serde_json::to_vec(&review).expect("a review is JSON")
}

/// Reviews with the default effects, and with all rules set to deny and to warn.
fn ask(body: &[u8], secret: &Secret, name: &str) {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("it is a time");
    for effect in [None, Some(Effect::Deny), Some(Effect::Warn)] {
        let mut policy = Policy::default();
        for (rule, effect) in RULES.iter().filter_map(|rule| Some((rule, effect?))) {
            policy.set(rule, effect);
        }
        for phase in [Phase::Mutate, Phase::Validate] {
            let answer = admission::respond(body, phase, &policy, now).expect("it is a review");
            let answered = String::from_utf8(answer.body).expect("an answer is text");
            for text in [&answered, &answer.name, &answer.namespace] {
                for part in &secret.parts {
                    assert!(!text.contains(part), "{name}: {phase} shows {part}: {text}");
                }
            }
        }
    }
}

/// Only host, port and path of a URL are repeated, even if nothing marks the other parts as secret.
#[test]
fn no_response_shows_parts_of_a_url_that_may_be_secret() {
    let urls = [
        "https://admin:7hunter2",
        "https://admin:hunter2",
        "https://admin:hunter2:6443",
        "ftp://spoke-1.example.com?hunter2",
        "ftp://spoke-1.example.com/#hunter2",
        "https://user:pa?ss#hunter2@spoke-1.example.com",
        "https://hunter2@localhost",
        "https://localhost?password=hunter2",
        "admin:hunter2",
        "http://a b/c:hunter2",
    ];
    for url in urls {
        let secret = Secret { text: url.to_owned(), parts: vec!["hunter2".to_owned()] };
        for field in ["server", "proxy-url", "tls-server-name"] {
            let place = format!("/status/accessProviders/0/cluster/{field}");
            ask(&review(&profile(&[(&place, json!(url))]), None, "status"), &secret, &format!("{field}: {url}"));
        }
    }
}
