//! Objects that a tool leaves out or prunes: Argo CD does not apply Leases, and others drop Secrets without data.

use std::fs;

use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    rendered::{rendered, text},
    server::get,
    wait::wait_until,
};

use super::{
    installed::{NAMESPACE, Profiles, address, serve_managed, serve_managed_at, stored},
    managed::{is_armed, metric},
    manifests::Shell,
};

pub(crate) fn are_created(plane: &ControlPlane, shell: &Shell) {
    shell.run("kubectl apply -k manifests/crd");
    let profiles = Profiles::new(plane);
    let base = rendered(plane.kubectl(), "manifests/base");
    let left_out = ["Lease", "Secret"];
    let applied: Vec<_> = base.iter().filter(|object| !left_out.contains(&text(object, "/kind"))).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": applied});
    fs::write(shell.directory.join("filtered.json"), list.to_string()).expect("a file can be written");
    shell.run("kubectl apply --server-side -f filtered.json");
    let paths = [
        format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/clusterprofile-webhook"),
        format!("/api/v1/namespaces/{NAMESPACE}/secrets/clusterprofile-webhook-authority"),
    ];
    let exists = |path: &String| plane.api.get(path).status == 200;
    assert!(!paths.iter().any(exists));

    let replica = serve_managed(plane, shell);
    wait_until("it is armed", || is_armed(plane));
    profiles.wait_until_reviewed();
    for path in &paths {
        assert_eq!(plane.api.delete(path).status, 200);
        wait_until("it is created again", || exists(path));
    }
    wait_until("it leads again", || metric(&replica, "leading") == 1);
    wait_until("a rotation makes a CA", || plane.api.get(&paths[1]).body["data"]["next.crt"].is_string());
    assert!(get(replica.admin, "/readyz").starts_with("HTTP/1.1 200"));
    // What was left out can be applied later.
    shell.run("kubectl apply --server-side -f manifests/base/authority.yaml");
    assert_eq!(metric(&replica, "leading"), 1);
    drop(replica);

    // With a Role of an earlier release.
    let role = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/clusterprofile-webhook");
    let mut rules = plane.api.get(&role).body["rules"].clone();
    let may_create =
        |rule: &Value| rule["verbs"] == json!(["create"]) && rule["resources"] != json!(["clusterprofiles"]);
    rules.as_array_mut().expect("rules are a list").retain(|rule| !may_create(rule));
    assert_eq!(plane.api.patch(&role, "merge", &json!({"rules": rules})).status, 200);
    for path in &paths {
        assert_eq!(plane.api.delete(path).status, 200);
    }
    // The configurations still trust only the CA that is gone.
    let overlap = ["--ca-overlap=1s"];
    let replica = serve_managed_at(address(shell, &stored(plane, "Service")), plane, &shell.directory, &overlap);
    wait_until("/readyz names what is missing", || {
        let answer = get(replica.admin, "/readyz");
        answer.starts_with("HTTP/1.1 503")
            && answer.contains("; last failure: cannot create the missing Lease: ")
            && answer.contains(" is forbidden: ")
    });
    shell.run("kubectl apply --server-side -f filtered.json --force-conflicts");
    wait_until("it is ready", || get(replica.admin, "/readyz").starts_with("HTTP/1.1 200"));
}
