//! `make demo`: starts the real server, sends it reviews as an API server does, prints the responses, and exits.

#![expect(clippy::print_stdout, reason = "a demo prints")]

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{manifest, server::Config};
use serde_json::{Value, json};
use testkit::{client::Client, server::Server};

/// Title, part and object of each write.
const WRITES: [(&str, &str, &str); 4] = [
    ("the API overview's example as written, to the status subresource", "status", EXAMPLE),
    ("a profile with only a cluster manager", "", DEFAULTED),
    ("a profile with several mistakes", "", REFUSED),
    ("a profile without mistakes", "", ACCEPTED),
];

const EXAMPLE: &str = include_str!("../tests/transcripts/overview.yaml");

const DEFAULTED: &str = "
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ClusterProfile
metadata:
  name: spoke-1
  namespace: fleet-system
spec:
  clusterManager:
    name: ocm
";

const REFUSED: &str = "
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ClusterProfile
metadata:
  name: spoke-2
  namespace: fleet-system
  labels:
    x-k8s.io/cluster-manager: kueue
    multicluster.x-k8s.io/inventory-member-id: \"\"
spec:
  displayName: \"Spoke\\t2\"
  clusterManager:
    name: ocm
";

const ACCEPTED: &str = "
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ClusterProfile
metadata:
  name: spoke-3
  namespace: fleet-system
  labels:
    x-k8s.io/cluster-manager: KubeFleet
spec:
  displayName: Spoke 3
  clusterManager:
    name: KubeFleet
";

fn main() -> anyhow::Result<()> {
    let server = Server::start(Config::default());
    let mut client = Client::connect(server.address, &server.ca)?;
    for (number, (what, part, yaml)) in (1..).zip(WRITES) {
        println!("{number}. {what}");
        let (documents, _) = manifest::read(yaml.as_bytes());
        let mut object = documents.into_iter().next().context("the manifests of the demo are sound")?.object;
        let mutated = call(&mut client, "/mutate", &review(number, part, &object))?;
        show("POST /mutate", &mutated);
        if let Some(patch) = mutated.get("patch").and_then(Value::as_str) {
            let patch: json_patch::Patch = serde_json::from_slice(&STANDARD.decode(patch)?)?;
            for operation in &patch.0 {
                println!("   patch    {}", serde_json::to_string(operation)?);
            }
            json_patch::patch(&mut object, &patch)?;
        }
        let validated = call(&mut client, "/validate", &review(number, part, &object))?;
        show("POST /validate", &validated);
        println!();
    }
    Ok(())
}

fn call(client: &mut Client, path: &str, review: &Value) -> anyhow::Result<Value> {
    let answer = client.post(&format!("{path}?timeout=5s"), &serde_json::to_vec(review)?)?;
    anyhow::ensure!(answer.status == 200, "{path}: HTTP {}", answer.status);
    let mut review: Value = serde_json::from_slice(&answer.body)?;
    review.get_mut("response").map(Value::take).context("every answer has a response")
}

fn show(call: &str, response: &Value) {
    let is_allowed = response.get("allowed") == Some(&json!(true));
    println!("   {call}: {}", if is_allowed { "allowed" } else { "denied" });
    for warning in response.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        println!("   warning  {}", warning.as_str().unwrap_or_default());
    }
    for cause in response.pointer("/status/details/causes").and_then(Value::as_array).into_iter().flatten() {
        let text = |field| cause.get(field).and_then(Value::as_str).unwrap_or_default();
        println!("   cause    {}: {}", text("field"), text("message"));
    }
}

/// The review that an API server sends: a create, or the first update of the status.
fn review(number: u32, part: &str, object: &Value) -> Value {
    let mut stored = object.clone();
    if let Some(fields) = stored.as_object_mut() {
        fields.remove("status");
    }
    let kind = json!({"group": "multicluster.x-k8s.io", "version": "v1alpha1", "kind": "ClusterProfile"});
    let is_update = part == "status";
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": format!("00000000-0000-4000-8000-{number:012}"),
        "kind": kind,
        "subResource": part,
        "name": manifest::metadata(object, "name"),
        "namespace": manifest::metadata(object, "namespace"),
        "operation": if is_update { "UPDATE" } else { "CREATE" },
        "object": object,
        "oldObject": if is_update { stored } else { Value::Null },
        "dryRun": false,
    }})
}
