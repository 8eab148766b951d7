//! The setting of transcripts: a control plane with the webhook, a namespace, users, and a directory with manifests.

use std::{fs, path::PathBuf, sync::Arc};

use clusterprofile_webhook::{
    kube::permissions::Permissions,
    manifest,
    profile::GROUP,
    review::{CrdInForce, Policy},
    server::{Config, Limits, LiveConfig},
};
use serde_json::json;

use crate::{control_plane::ControlPlane, root, webhook::Webhook};

/// The namespace of all transcripts, and of the API overview's example.
pub const NAMESPACE: &str = "fleet-system";

/// Registers a webhook with break-glass, and creates the namespace, in which the users alice and bob can write
/// profiles.
///
/// Returns the webhook, which serves until it is dropped.
pub fn set(control: &ControlPlane) -> Webhook {
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

/// Makes a directory for one transcript, with a copy of every manifest in `tests/transcripts`.
pub fn directory(name: &str, control: &ControlPlane) -> PathBuf {
    let directory = control.directory().join("transcripts").join(name);
    fs::create_dir_all(&directory).expect("a directory can be made");
    for file in files("yaml") {
        fs::copy(&file, directory.join(file.file_name().expect("it has a name"))).expect("a manifest can be copied");
    }
    directory
}

/// The files in `tests/transcripts` with this extension, sorted.
pub fn files(extension: &str) -> Vec<PathBuf> {
    let transcripts = root().join("tests/transcripts");
    let entries = fs::read_dir(transcripts).expect("the transcripts are there");
    let files = entries.map(|entry| entry.expect("it is readable").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}
