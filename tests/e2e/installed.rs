//! The installed manifests at work: the binary as the Pod, and a replacement for the controllers.

use std::{net::SocketAddr, path::Path};

use serde_json::{Value, json};
use testkit::{
    api::Response,
    case::Cause,
    control_plane::ControlPlane,
    mount::Mount,
    rendered::{at, only, rendered, text, volume},
    replica::{Replica, arguments, service_address, with_flags},
    verdict,
    wait::wait_until,
};

use super::manifests::Shell;

/// The ClusterProfiles of a namespace.
pub(crate) struct Profiles<'p> {
    pub plane: &'p ControlPlane,
    collection: String,
}

/// The namespace of the manifests.
pub(crate) const NAMESPACE: &str = "clusterprofile-webhook";

/// The cluster manager of every profile.
pub(crate) const MANAGER: &str = "ocm";

/// A dry run.
pub(crate) const DRY_RUN: &str = "?dryRun=All";

impl<'p> Profiles<'p> {
    /// Waits until profiles are served.
    pub(crate) fn new(plane: &'p ControlPlane) -> Self {
        let namespace = plane.namespace(&json!({}));
        let collection = format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{namespace}/clusterprofiles");
        wait_until("the CRD is served", || plane.api.get(&collection).status == 200);
        Self { plane, collection }
    }

    pub(crate) fn item(&self, name: &str) -> String {
        format!("{}/{name}", self.collection)
    }

    /// Creates a profile with this value of the label. It is valid if it equals [`MANAGER`].
    pub(crate) fn create(&self, name: &str, label: Option<&str>, query: &str) -> Response {
        let mut profile = json!({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1",
            "kind": "ClusterProfile",
            "metadata": {"name": name},
            "spec": {"displayName": name, "clusterManager": {"name": MANAGER}},
        });
        if let Some(label) = label {
            profile["metadata"]["labels"] = json!({"x-k8s.io/cluster-manager": label});
        }
        self.plane.api.post(&format!("{}{query}", self.collection), &profile)
    }

    pub(crate) fn patch(&self, name: &str, part: &str, patch: &Value) -> Response {
        self.plane.api.patch(&format!("{}{part}", self.item(name)), "merge", patch)
    }

    /// Waits until a missing label is added. Then asserts that a wrong one is denied.
    pub(crate) fn wait_until_reviewed(&self) {
        let label = |answer: &Response| answer.body["metadata"]["labels"]["x-k8s.io/cluster-manager"].clone();
        // The API server reads the two configurations in any order.
        wait_until("both webhooks are called", || {
            label(&self.create("reviewed", None, DRY_RUN)) == MANAGER
                && self.create("refused", Some("another"), DRY_RUN).status == 422
        });
        let created = self.create("reviewed", None, "");
        assert_eq!((created.status, label(&created)), (201, json!(MANAGER)), "{created:#?}");
        let refused = self.create("refused", Some("another"), "");
        let cause = Cause {
            rule: "cluster-manager-label".into(),
            reason: "FieldValueInvalid".into(),
            field: "metadata.labels[x-k8s.io/cluster-manager]".into(),
        };
        assert_eq!((refused.status, verdict::causes(&refused.body)), (422, vec![cause]), "{refused:#?}");
    }
}

/// Starts the binary with the stored Deployment and its Secret, at the address of the stored Service.
pub(crate) fn serve(plane: &ControlPlane, shell: &Shell) -> Replica {
    let deployment = stored(plane, "Deployment");
    let namespace = text(&deployment, "/metadata/namespace");
    let secret = format!("/api/v1/namespaces/{namespace}/secrets/{}", mounted_secret(&deployment));
    let mut mount = Mount::new(shell.directory.join("mounted"));
    mount.put(&plane.api.get(&secret).body);
    serve_mounted(plane, shell, &mount.directory)
}

/// As [`serve`], with a directory for the Secret.
pub(crate) fn serve_mounted(plane: &ControlPlane, shell: &Shell, mounted: &Path) -> Replica {
    let address = address(shell, &stored(plane, "Service"));
    Replica::start(&arguments(&stored(plane, "Deployment"), mounted, address), &shell.directory, None)
}

/// Starts the binary with the stored Deployment and only the token of its service account.
pub(crate) fn serve_managed(plane: &ControlPlane, shell: &Shell) -> Replica {
    let address = address(shell, &stored(plane, "Service"));
    serve_managed_at(address, plane, &shell.directory, &[])
}

/// As [`serve_managed`] with more or changed flags, at the Service or elsewhere.
pub(crate) fn serve_managed_at(address: SocketAddr, plane: &ControlPlane, directory: &Path, flags: &[&str]) -> Replica {
    let deployment = stored(plane, "Deployment");
    let account = text(&deployment, "/spec/template/spec/serviceAccountName");
    let kubeconfig = plane.service_account(text(&deployment, "/metadata/namespace"), account);
    let arguments = with_flags(arguments(&deployment, Path::new("/nonexistent"), address), flags);
    Replica::start(&arguments, directory, Some(&kubeconfig))
}

/// An object of the base, in its namespace.
pub(crate) fn stored(plane: &ControlPlane, kind: &str) -> Value {
    let base = rendered(plane.kubectl(), "manifests/base");
    let metadata = at(only(&base, kind), "/metadata");
    let group = if kind == "Deployment" { "apis/apps" } else { "api" };
    let (namespace, name) = (text(metadata, "/namespace"), text(metadata, "/name"));
    plane.api.get(&format!("/{group}/v1/namespaces/{namespace}/{}s/{name}", kind.to_lowercase())).body
}

/// The name of the Secret that the Deployment's Pods mount.
pub(crate) fn mounted_secret(deployment: &Value) -> &str {
    text(volume(deployment, "secret"), "/secret/secretName")
}

/// The address at which the API server calls the stored Service.
pub(crate) fn address(shell: &Shell, service: &Value) -> SocketAddr {
    service_address(service, |port| {
        println!("e2e: the Service's port is root's: it and the configurations get port {port}");
        let (namespace, name) = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
        let patch = |what: &str, operation: &str, path: &str| {
            let patch = json!([{"op": operation, "path": path, "value": port}]);
            shell.run(&format!("kubectl patch {what} --type=json --patch='{patch}'"));
        };
        patch(&format!("service -n {namespace} {name}"), "replace", "/spec/ports/0/port");
        patch("-k manifests/base/webhooks", "add", "/webhooks/0/clientConfig/service/port");
    })
}

/// Ends the deletion of a namespace, in place of the controller.
pub(crate) fn finalize(plane: &ControlPlane, namespace: &str) {
    let path = format!("/api/v1/namespaces/{namespace}");
    let mut current = Value::Null;
    wait_until("the namespace is being deleted", || {
        current = plane.api.get(&path).body;
        current["metadata"]["deletionTimestamp"].is_string()
    });
    current["spec"]["finalizers"] = json!([]);
    let finalized = plane.api.put(&format!("{path}/finalize"), &current);
    assert_eq!(finalized.status, 200, "{finalized:#?}");
}
