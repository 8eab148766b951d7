//! With the rights of the manifests, the binary follows the CRD in force: a write that the CRD rejects gets all
//! findings at once.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use clusterprofile_webhook::manifest;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    profiles::Profiles,
    programs::Assets,
    replica::Replica,
    wait::wait_until,
    webhook::{NAMESPACE, Webhook, configurations},
};

use super::planes::Crd;

pub(crate) fn trial(assets: &Assets) -> Trial {
    let assets = assets.clone();
    Trial::test("crd_in_force::is_followed", move || {
        is_followed(&assets);
        Ok(())
    })
}

fn is_followed(assets: &Assets) {
    let files = tempfile::tempdir().expect("a directory can be made");
    let plane = ControlPlane::start(assets, "crd-in-force", &[Crd::Own.object()]);
    let webhook = Webhook::unserved(&plane, "crd-in-force");
    let replica = serve(&webhook, files.path(), &account(&plane));
    for configuration in configurations() {
        webhook.register(&plane, configuration);
    }
    let profiles = Profiles::new(&plane, &webhook.labels());
    profiles.assert_that_both_webhooks_are_called();
    let warnings = || profiles.try_to_create(&wrong()).warnings;

    // Without the right to read the CRD, only the schema reports mistakes.
    wait_until("it is known that nothing is known", || log(files.path()).contains("CRD in force unknown"));
    assert_eq!(warnings(), [""; 0]);
    let refused = profiles.try_to_create(&wrong());
    assert!(refused.status == 422 && !refused.body.to_string().contains("admission webhook"), "{refused:#?}");
    grant(&plane);
    wait_until("it is known", || !warnings().is_empty());
    let fields = ["spec.displayName: ", "spec.clusterManager.name: ", "metadata.labels[x-k8s.io/cluster-manager]: "];
    let texts = warnings();
    assert!(texts.len() == 3 && texts.iter().zip(fields).all(|(text, field)| text.starts_with(field)), "{texts:#?}");

    // As kubectl shows it.
    let applied = apply(&plane, &profiles);
    let shown = String::from_utf8_lossy(&applied.stderr);
    assert!(!applied.status.success(), "{shown}");
    for field in fields {
        assert!(shown.contains(&format!("Warning: {field}")), "{shown}");
    }
    let schema = "spec.displayName: Invalid value: \"integer\": spec.displayName in body must be of type string";
    assert!(shown.contains(schema), "{shown}");

    // /validate denies what another CRD accepts, and nothing is reported twice.
    let path = format!("{DEFINITIONS}/clusterprofiles.multicluster.x-k8s.io");
    let loose = json!([{
        "op": "replace",
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/displayName",
        "value": {"x-kubernetes-preserve-unknown-fields": true},
    }]);
    let patched = plane.api.patch(&path, "json", &loose);
    assert_eq!(patched.status, 200, "{patched:#?}");
    wait_until("the other definition is in force, and known", || {
        let denied = profiles.try_to_create(&wrong());
        denied.body.to_string().contains("[field-type]") && denied.warnings.is_empty()
    });
    replica.stop();
    let log = log(files.path());
    for (message, count) in [("CRD in force unknown", 1), ("CRD in force loaded", 1)] {
        assert_eq!(log.matches(message).count(), count, "each change is logged once: {log}");
    }
    plane.forget();
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A number for a name, which the schema rejects, and unknown fields.
fn wrong() -> Value {
    json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": "wrong", "labels": {"x-k8s.io/cluster-manager": "another"}},
        "spec": {"displayName": 5, "clusterManager": {"name": "no label value"}},
    })
}

fn apply(plane: &ControlPlane, profiles: &Profiles<'_>) -> Output {
    let collection = profiles.path("");
    let namespace = collection.split('/').skip_while(|part| *part != "namespaces").nth(1).expect("it has a namespace");
    let mut kubectl = plane.kubectl();
    kubectl.args(["apply", "--validate=false", "--namespace", namespace, "-f", "-"]);
    let mut kubectl =
        kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    kubectl.stdin.take().expect("it is piped").write_all(wrong().to_string().as_bytes()).expect("it reads");
    kubectl.wait_with_output().expect("it ends")
}

/// A kubeconfig of the service account of the manifests, which has no rights yet.
fn account(plane: &ControlPlane) -> PathBuf {
    const NAME: &str = "clusterprofile-webhook";
    let made = plane.api.post("/api/v1/namespaces", &json!({"metadata": {"name": NAME}}));
    assert_eq!(made.status, 201, "{made:#?}");
    let account = json!({"metadata": {"name": NAME}});
    let made = plane.api.post(&format!("/api/v1/namespaces/{NAME}/serviceaccounts"), &account);
    assert_eq!(made.status, 201, "{made:#?}");
    plane.service_account(NAME, NAME)
}

/// Grants the rights of the manifests.
fn grant(plane: &ControlPlane) {
    let manifests = fs::read("manifests/base/crd.yaml").expect("the manifests are there");
    for document in manifest::read(&manifests).0 {
        let kind = document.object["kind"].as_str().expect("it has a kind").to_lowercase();
        let made = plane.api.post(&format!("/apis/rbac.authorization.k8s.io/v1/{kind}s"), &document.object);
        assert_eq!(made.status, 201, "{made:#?}");
    }
}

fn serve(webhook: &Webhook, directory: &Path, kubeconfig: &Path) -> Replica {
    let signed = webhook.ca.server(&[&format!("{}.{NAMESPACE}.svc", webhook.name)]);
    let put = |name: &str, content: &str| {
        let path = directory.join(name);
        fs::write(&path, content).expect("a file can be written");
        path.display().to_string()
    };
    let arguments = [
        "serve".to_owned(),
        "--log-format=json".to_owned(),
        "--drain=0s".to_owned(),
        "--admin-listen=127.0.0.1:0".to_owned(),
        format!("--listen={}", webhook.address),
        format!("--tls-cert={}", put("tls.crt", &signed.certificate)),
        format!("--tls-key={}", put("tls.key", &signed.key)),
    ];
    Replica::start(&arguments, directory, Some(kubeconfig))
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("replica.log")).expect("it was begun")
}
