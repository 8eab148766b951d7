//! What transcripts of kubectl play on: a namespace that the webhook reviews, and a directory with their manifests.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clusterprofile_webhook::{
    kube::permissions::Permissions,
    manifest,
    profile::GROUP,
    review::{CrdInForce, Policy},
    server::{Config, Limits, LiveConfig},
};
use serde_json::json;

use super::{control_plane::ControlPlane, webhook::Webhook};

/// The namespace of the API overview's example, and of all transcripts.
pub(crate) const NAMESPACE: &str = "fleet-system";

/// Registers the webhook, with break-glass as the manifests have it, and makes the namespace, where some users may write.
pub(crate) fn set(control: &ControlPlane) -> Webhook {
    let mut policy = Policy::default();
    policy.set_break_glass(true);
    let definition = control
        .api
        .get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusterprofiles.multicluster.x-k8s.io");
    policy.set_crd(Some(Arc::new(CrdInForce::read(definition.body).expect("it is the definition"))));
    let permissions = Some(Arc::new(Permissions::of(control.api.client())));
    let live = Arc::new(LiveConfig::new(policy, Limits::default()));
    let webhook = Webhook::start(control, "transcripts", Config { live, permissions, ..Config::default() });
    let namespace = json!({"metadata": {"name": NAMESPACE, "labels": webhook.labels()}});
    let created = control.api.post("/api/v1/namespaces", &namespace);
    assert_eq!(created.status, 201, "{}", created.body);
    let manifests = fs::read("manifests/base/break-glass.yaml").expect("the manifests are there");
    let people = manifest::read(&manifests).0.pop().expect("the last is the role for people").object;
    let writer = json!({
        "metadata": {"name": "writer"},
        "rules": [{"apiGroups": [GROUP], "resources": ["clusterprofiles"], "verbs": ["get", "create", "patch"]}],
    });
    let users = ["alice", "bob"].map(|name| json!({"apiGroup": RBAC, "kind": "User", "name": name}));
    let writers = json!({
        "metadata": {"name": "writers"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "writer"},
        "subjects": users,
    });
    let bindings = format!("namespaces/{NAMESPACE}/rolebindings");
    for (plural, object) in [("clusterroles", people), ("clusterroles", writer), (&bindings[..], writers)] {
        let created = control.api.post(&format!("/apis/{RBAC}/v1/{plural}"), &object);
        assert_eq!(created.status, 201, "{}", created.body);
    }
    webhook
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// A directory of a transcript's own, with the manifests of all.
pub(crate) fn directory(name: &str, control: &ControlPlane) -> PathBuf {
    let directory = control.directory().join("transcripts").join(name);
    fs::create_dir_all(&directory).expect("a directory can be made");
    for file in files("yaml") {
        fs::copy(&file, directory.join(file.file_name().expect("it has a name"))).expect("a manifest can be copied");
    }
    directory
}

/// The files of the transcripts that end so.
pub(crate) fn files(extension: &str) -> Vec<PathBuf> {
    let transcripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = fs::read_dir(transcripts).expect("the transcripts are there");
    let files = entries.map(|entry| entry.expect("it is readable").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}
