//! The rendered chart, applied as Argo CD does, as `docs/install.md` describes.

use std::{fs, path::Path};

use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    page::Section,
    rendered::{at, documents, items, text},
    replica::{Replica, arguments},
    wait::wait_until,
};

use super::{
    install::{item, stored_configurations},
    installed::{Profiles, address},
    managed::{is_armed, metric},
    manifests::Shell,
};

/// Argo CD renders without a cluster, and keeps the live values of fields under `ignoreDifferences` when it applies.
/// The namespace is not the default one.
pub(crate) fn an_armed_webhook_differs_in_nothing(plane: &ControlPlane, shell: &Shell) {
    const ELSEWHERE: &str = "elsewhere";
    shell.run("kubectl apply -k manifests/crd");
    let profiles = Profiles::new(plane);
    shell.run(&format!("kubectl create namespace {ELSEWHERE}"));
    let render = |values: &str| {
        let rendered = shell.run(&format!("helm template any manifests/chart --namespace {ELSEWHERE} {values}"));
        documents(rendered.as_bytes())
    };
    let apply = |objects: &[Value]| {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        fs::write(shell.directory.join("rendered.json"), list.to_string()).expect("a file can be written");
        shell.run(&format!("kubectl apply {MANAGED} -f rendered.json"));
    };
    let mut objects = render("");
    // Argo CD applies no Leases, and some tools prune an empty Secret. The webhook creates both.
    objects.retain(|object| !["Lease", "Secret"].contains(&text(object, "/kind")));
    apply(&objects);
    let replica = serve_in(ELSEWHERE, plane, shell);
    wait_until("it is armed", || is_armed(plane));
    profiles.wait_until_reviewed();

    // What Argo CD would do without ignoreDifferences.
    let diff = shell.run(&format!("kubectl diff {MANAGED} --force-conflicts -f rendered.json || [ $? = 1 ]"));
    // The replica may renew its Lease between the two reads that kubectl compares.
    let is_own =
        |line: &&str| !["generation:", "renewTime:", "resourceVersion:"].iter().any(|field| line.contains(field));
    let changes = diff.lines().filter(|line| line.starts_with("+ ")).filter(is_own);
    assert_eq!(changes.collect::<Vec<_>>(), ["+  failurePolicy: Ignore"], "{diff}");

    let page = Section::page("install").section("Install with Argo CD");
    let [application] = page.manifests()[..] else { panic!("one Application") };
    let [application] = &documents(application.as_bytes())[..] else { panic!("one Application") };
    for ignored in items(application, "/spec/ignoreDifferences") {
        take_over(plane, ignored, &mut objects);
    }
    let closed = render("--set failurePolicy=Fail");
    for objects in [objects, closed] {
        let before = generations(plane);
        apply(&objects);
        assert_eq!(shell.run(&format!("kubectl diff {MANAGED} -f rendered.json")), "");
        assert_eq!(generations(plane), before);
    }
    assert_eq!(metric(&replica, "repairs_total{field=\"failure_policy\"}"), 0);
}

const MANAGED: &str = "--server-side --field-manager=argocd-controller";

/// Generations count the changes of the webhook configurations.
pub(crate) fn generations(plane: &ControlPlane) -> Vec<Value> {
    stored_configurations(plane).iter().map(|stored| at(stored, "/metadata/generation").clone()).collect()
}

/// Starts the binary with the Deployment of this namespace.
fn serve_in(namespace: &str, plane: &ControlPlane, shell: &Shell) -> Replica {
    let stored = |path: &str| plane.api.get(&format!("{path}/clusterprofile-webhook")).body;
    let deployment = stored(&format!("/apis/apps/v1/namespaces/{namespace}/deployments"));
    let service = stored(&format!("/api/v1/namespaces/{namespace}/services"));
    let kubeconfig = plane.service_account(namespace, text(&deployment, "/spec/template/spec/serviceAccountName"));
    let arguments = arguments(&deployment, Path::new("/nonexistent"), address(shell, &service));
    Replica::start(&arguments, &shell.directory, Some(&kubeconfig))
}

/// Copies the live values of the fields that `ignoreDifferences` names into the rendered objects.
fn take_over(plane: &ControlPlane, ignored: &Value, rendered: &mut [Value]) {
    let group = format!("{}/", text(ignored, "/group"));
    let is_meant = |object: &Value| {
        text(object, "/apiVersion").starts_with(&group)
            && object["kind"] == ignored["kind"]
            && object["metadata"]["name"] == ignored["name"]
    };
    let object = rendered.iter_mut().find(|object| is_meant(object)).expect("what is ignored is rendered");
    let live = plane.api.get(&item(object)).body;
    for pointer in items(ignored, "/jsonPointers").iter().filter_map(Value::as_str) {
        *object.pointer_mut(pointer).expect("what is ignored is rendered") = at(&live, pointer).clone();
    }
}
