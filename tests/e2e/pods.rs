//! The Pods and the status of a Deployment, as controllers and kubelet would make them.

use std::{fs, net::SocketAddr, path::Path, thread};

use serde_json::{Value, json};
use testkit::{
    balancer::Balancer,
    control_plane::ControlPlane,
    rendered::{at, items, text, volume},
    replica::{Replica, arguments, container, with_flags},
    server::get,
    wait::wait_until,
};

use super::{
    empty_root::{EmptyRoot, StaticBinary},
    installed::{address, serve_managed_at, stored},
    manifests::Shell,
};

/// The Pods of the stored Deployment, behind its Service.
pub(crate) struct Pods {
    pub replicas: Vec<Replica>,
    roots: Vec<EmptyRoot>,
    _service: Balancer,
}

impl Pods {
    /// Starts the replicas that the Deployment asks for, and sets its status when they are ready.
    ///
    /// Each replica is the static binary in an empty root, if it was built, or else the test binary with a kubeconfig
    /// of its service account.
    pub(crate) fn start(plane: &ControlPlane, shell: &Shell) -> Self {
        let deployment = stored(plane, "Deployment");
        let binary = StaticBinary::find();
        if binary.is_none() {
            println!("e2e: no empty root: STATIC_BINARY does not name what `make static` builds");
        }
        let service = Balancer::start(address(shell, &stored(plane, "Service")));
        let wanted = at(&deployment, "/spec/replicas").as_u64().expect("it is a number");
        let (mut replicas, mut roots) = (Vec::new(), Vec::new());
        for number in 0..wanted {
            let address = ([127, 0, 0, 1], 0).into();
            let directory = shell.directory.join(format!("pod-{number}"));
            fs::create_dir(&directory).expect("a directory can be made");
            replicas.push(match &binary {
                Some(binary) => {
                    let root = EmptyRoot::new(directory.join("root"), binary, number % 2 == 1);
                    let replica = start_in(&root, plane, &deployment, address, &directory);
                    roots.push(root);
                    replica
                }
                None => serve_managed_at(address, plane, &directory, &[]),
            });
        }
        for replica in &replicas {
            wait_until("it is ready", || get(replica.admin, "/readyz").starts_with("HTTP/1.1 200"));
            service.add(replica.address);
        }
        set_status(plane, &deployment, wanted);
        Self { replicas, roots, _service: service }
    }

    /// Stops all replicas at once, as kubelet does.
    pub(crate) fn stop(self) {
        thread::scope(|scope| {
            for replica in self.replicas {
                scope.spawn(|| replica.stop());
            }
        });
        assert!(self.roots.iter().all(EmptyRoot::is_as_it_was), "what is read-only is written to");
    }
}

/// The arguments of the Deployment, with the address of the API server that every Pod has.
fn start_in(
    root: &EmptyRoot,
    plane: &ControlPlane,
    deployment: &Value,
    address: SocketAddr,
    directory: &Path,
) -> Replica {
    let namespace = text(deployment, "/metadata/namespace");
    let token = plane.token(namespace, text(deployment, "/spec/template/spec/serviceAccountName"));
    let authority = fs::read(plane.directory().join("ca.crt")).expect("the control plane has an authority");
    root.mount(
        "/var/run/secrets/kubernetes.io/serviceaccount",
        &[("ca.crt", &authority), ("token", token.as_bytes()), ("namespace", namespace.as_bytes())],
    );
    let config = mount_config(root, plane, deployment);
    let arguments = with_flags(arguments(deployment, Path::new("/nonexistent"), address), &[&config]);
    let api = plane.address();
    let mut command = root.command(deployment, &arguments);
    command.env("KUBERNETES_SERVICE_HOST", api.ip().to_string());
    command.env("KUBERNETES_SERVICE_PORT", api.port().to_string());
    Replica::launch(&mut command, &directory.join("replica.log"))
}

/// Mounts the stored `ConfigMap`. Returns the argument of the Deployment that names its file.
fn mount_config(root: &EmptyRoot, plane: &ControlPlane, deployment: &Value) -> String {
    let (namespace, name) =
        (text(deployment, "/metadata/namespace"), text(volume(deployment, "configMap"), "/configMap/name"));
    let map = plane.api.get(&format!("/api/v1/namespaces/{namespace}/configmaps/{name}")).body;
    let argument = items(container(deployment), "/args").iter().filter_map(Value::as_str);
    let argument = argument.filter(|argument| argument.starts_with("--config=")).collect::<String>();
    let (directory, _) = argument["--config=".len()..].rsplit_once('/').expect("it is in a directory");
    root.mount(directory, &[("config.yaml", text(&map, "/data/config.yaml").as_bytes())]);
    argument
}

/// Sets the status for which `kubectl rollout status` waits.
fn set_status(plane: &ControlPlane, deployment: &Value, ready: u64) {
    let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason});
    let status = json!({"status": {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": ready, "updatedReplicas": ready, "readyReplicas": ready, "availableReplicas": ready,
        "conditions": [
            condition("Available", "MinimumReplicasAvailable"),
            condition("Progressing", "NewReplicaSetAvailable"),
        ],
    }});
    let (namespace, name) = (text(deployment, "/metadata/namespace"), text(deployment, "/metadata/name"));
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status");
    let patched = plane.api.patch(&path, "merge", &status);
    assert_eq!(patched.status, 200, "{patched:#?}");
}
