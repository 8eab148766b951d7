//! Recognizes the dry run by which an installation proves that the API server calls its own validating webhook.
//!
//! Any client may send a profile of that shape. It is a dry run and denied, so it stores nothing, and only a sender that has the
//! installation's key can use the response.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{request::Request, response::Response};

/// The name of the profile.
pub const PROBE: &str = "clusterprofile-webhook-probe";

/// The annotation of the profile that holds what must be proven.
pub const PROBE_ANNOTATION: &str = "clusterprofile-webhook.internal/arming-probe";

/// A dry run that asks which webhook denies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The namespace of the profile.
    pub namespace: String,
    /// The uid of the validating webhook configuration whose webhook must deny it.
    pub uid: String,
    /// Random, and used once.
    pub nonce: String,
}

impl Probe {
    /// The value of [`PROBE_ANNOTATION`].
    #[must_use]
    pub fn value(&self) -> String {
        format!("{}/{}", self.uid, self.nonce)
    }

    fn read(namespace: &str, value: &str) -> Option<Self> {
        /// More than any uid and nonce have. Both are kept in memory and signed.
        const LONGEST: usize = 253;
        let (uid, nonce) = value.split_once('/').filter(|_| value.len() <= LONGEST)?;
        let is_plain =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let part = |text: &str| is_plain(text).then(|| text.to_owned());
        Some(Self { namespace: namespace.to_owned(), uid: part(uid)?, nonce: part(nonce)? })
    }
}

/// Adds to a denial the probe that it answers, if it does.
pub(super) fn recognized(body: &[u8], request: &Request<'_>, response: Response) -> Response {
    /// The API server's review of a probe has two kilobytes.
    const LONGEST: usize = 64 << 10;
    let is_probe = request.name == PROBE && request.operation == "CREATE" && request.part() == "main";
    if response.allowed || !is_probe || body.len() > LONGEST {
        return response;
    }
    Response { probe: read(body, &request.namespace), ..response }
}

fn read(body: &[u8], namespace: &str) -> Option<Probe> {
    let Review { request } = serde_json::from_slice(body).ok()?;
    let value = request.object.metadata.annotations.get(PROBE_ANNOTATION).filter(|_| request.dry_run)?;
    Probe::read(namespace, value)
}

impl Response {
    /// The same response with one more warning before all others: the API server passes on a limited number.
    #[must_use]
    pub fn with_warning(mut self, warning: &str) -> Self {
        let mut review: Value = serde_json::from_slice(&self.body).expect("a response is always valid JSON");
        let response = review.get_mut("response").and_then(Value::as_object_mut).expect("a review has a response");
        if let Value::Array(warnings) = response.entry("warnings").or_insert_with(|| json!([])) {
            warnings.insert(0, warning.into());
        }
        self.body = serde_json::to_vec(&review).expect("a response is always valid JSON");
        self
    }
}

#[derive(Deserialize)]
struct Review {
    request: Sent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    #[serde(default)]
    dry_run: bool,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::{PROBE, PROBE_ANNOTATION, Probe};
    use crate::{
        admission::{Response, respond},
        review::{Phase, Policy},
    };

    fn probe() -> Value {
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "5f3a1c52-8d7e-4d57-9a53-000000000000",
                "kind": {"group": "multicluster.x-k8s.io", "version": "v1alpha1", "kind": "ClusterProfile"},
                "operation": "CREATE",
                "namespace": "here",
                "name": PROBE,
                "dryRun": true,
                "object": {
                    "apiVersion": "multicluster.x-k8s.io/v1alpha1",
                    "kind": "ClusterProfile",
                    "metadata": {
                        "name": PROBE,
                        "labels": {"x-k8s.io/cluster-manager": "another"},
                        "annotations": {PROBE_ANNOTATION: "3a-1/9c"},
                    },
                    "spec": {"displayName": "probe", "clusterManager": {"name": PROBE}},
                },
            },
        })
    }

    fn answer(review: &Value, phase: Phase) -> Response {
        respond(review.to_string().as_bytes(), phase, &Policy::default(), Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_denied_dry_run_of_that_shape_is_recognized_and_nothing_else() {
        let expected = Probe { namespace: "here".into(), uid: "3a-1".into(), nonce: "9c".into() };
        assert_eq!(expected.value(), "3a-1/9c");
        assert_eq!(answer(&probe(), Phase::Validate).probe, Some(expected));
        assert_eq!(answer(&probe(), Phase::Mutate).probe, None, "only what is denied can prove a denial");

        let annotation = format!("/request/object/metadata/annotations/{}", PROBE_ANNOTATION.replace('/', "~1"));
        let long = format!("{}/9c", "a".repeat(253));
        let changes = [
            ("/request/dryRun", json!(false)),
            ("/request/name", json!("another")),
            ("/request/object/metadata/labels/x-k8s.io~1cluster-manager", json!(PROBE)),
            (&annotation, json!("3a-1")),
            (&annotation, json!("/9c")),
            (&annotation, json!("3a\n/9c")),
            (&annotation, json!(long)),
        ];
        for (pointer, value) in changes {
            let mut review = probe();
            *review.pointer_mut(pointer).unwrap() = value;
            assert_eq!(answer(&review, Phase::Validate).probe, None, "{review:#}");
        }
        let mut update = probe();
        update["request"]["operation"] = json!("UPDATE");
        update["request"]["oldObject"] = update["request"]["object"].clone();
        update["request"]["oldObject"]["metadata"]["labels"] = json!({"x-k8s.io/cluster-manager": PROBE});
        let updated = answer(&update, Phase::Validate);
        assert!(!updated.allowed && updated.probe.is_none(), "{updated:#?}");
    }

    #[test]
    fn a_warning_is_put_before_others_and_changes_nothing_else() {
        let before = answer(&probe(), Phase::Validate);
        let parse = |response: &Response| serde_json::from_slice::<Value>(&response.body).unwrap();
        let mut expected = parse(&before);
        expected["response"]["warnings"] = json!(["b", "a"]);
        assert_eq!(parse(&before.with_warning("a").with_warning("b")), expected);
    }
}
