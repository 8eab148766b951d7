//! What platforms need, as an API server judges it: every component and every value, and the Pods that come of them.

use std::fs;

use serde_json::{Value, json};
use testkit::{
    api::Response,
    control_plane::ControlPlane,
    helm::Helm,
    page::Section,
    rendered::{at, documents, only, rendered, text},
};

use super::manifests::{STRICT, Shell};

/// The Pod Security admission of the API server judges the Pods, because no controller makes any.
pub(crate) fn are_accepted(plane: &ControlPlane, shell: &Shell) {
    shell.run("kubectl apply -k manifests/crd && kubectl apply -k manifests/base");
    for component in components(shell) {
        let directory = shell.directory.join(&component);
        fs::create_dir(&directory).expect("a directory can be made");
        let kustomization =
            format!("resources: [../manifests/base]\ncomponents: [../manifests/components/{component}]\n");
        fs::write(directory.join("kustomization.yaml"), kustomization).expect("a file can be written");
        let objects = rendered(plane.kubectl(), directory.to_str().expect("it is ASCII"));
        // The API server warns of a Pod template that the stored namespace would not admit.
        let stored = rendered(plane.kubectl(), "manifests/base");
        put_namespace(plane, &objects);
        shell.run(&format!("kubectl apply {STRICT} --dry-run=server -k {component}"));
        assert_admitted(&admit(plane, &objects, &json!({})), &component);
        put_namespace(plane, &stored);
        let admitted = admit(plane, &objects, &json!({}));
        if component == "host-network" {
            assert_eq!(admitted.status, 403, "{}", admitted.body);
            assert!(text(&admitted.body, "/message").contains("hostNetwork=true"), "{}", admitted.body);
        } else {
            assert_admitted(&admitted, &component);
        }
    }
    any_user_is_admitted(plane);
    make_installs_components(plane, shell);
    if Helm::find().is_some() {
        values_are_accepted(plane, shell);
    }
}

fn components(shell: &Shell) -> Vec<String> {
    let names = shell.run("ls manifests/components");
    let names: Vec<_> = names.lines().map(ToOwned::to_owned).collect();
    assert!(names.len() >= 5, "{names:?}");
    names
}

/// Gives the namespace the labels that it is rendered with.
fn put_namespace(plane: &ControlPlane, objects: &[Value]) {
    let namespace = only(objects, "Namespace");
    let path = format!("/api/v1/namespaces/{}", text(namespace, "/metadata/name"));
    let labels = json!({"metadata": {"labels": at(namespace, "/metadata/labels")}});
    assert_eq!(plane.api.patch(&path, "merge", &labels).status, 200);
}

/// What becomes of a Pod of the Deployment with this security context.
fn admit(plane: &ControlPlane, objects: &[Value], context: &Value) -> Response {
    let deployment = only(objects, "Deployment");
    let mut pod = at(deployment, "/spec/template").clone();
    pod["metadata"]["name"] = json!("judged");
    for (field, value) in context.as_object().expect("it is a map") {
        pod["spec"]["securityContext"][field] = value.clone();
    }
    let namespace = text(deployment, "/metadata/namespace");
    plane.api.post(&format!("/api/v1/namespaces/{namespace}/pods?dryRun=All"), &pod)
}

fn assert_admitted(answer: &Response, what: &str) {
    assert_eq!((answer.status, &answer.warnings[..]), (201, &[][..]), "{what}: {}", answer.body);
}

/// A user and a group that `OpenShift` could assign still meet `restricted`.
fn any_user_is_admitted(plane: &ControlPlane) {
    let objects = rendered(plane.kubectl(), "manifests/base");
    let assigned = json!({
        "runAsUser": 1_000_650_000,
        "fsGroup": 1_000_650_000,
        "seLinuxOptions": {"level": "s0:c26,c5"},
    });
    assert_admitted(&admit(plane, &objects, &assigned), "a user of OpenShift's");
    let root = admit(plane, &objects, &json!({"runAsUser": 0}));
    assert_eq!(root.status, 403, "root is not admitted: {}", root.body);
}

fn make_installs_components(plane: &ControlPlane, shell: &Shell) {
    let output = shell.run("! make install IMAGE=a COMPONENTS=host-net 2>&1");
    assert!(output.contains("install: COMPONENTS: no component \"host-net\"; there are: api-server-ports"), "{output}");
    // No controller makes Pods, so it does not become ready.
    let output = shell.run("! make install IMAGE=a COMPONENTS='port-10250 autopilot' TIMEOUT=1s 2>&1");
    assert!(output.contains("install: not every Pod is ready after 1s"), "{output}");
    let path = "/apis/apps/v1/namespaces/clusterprofile-webhook/deployments/clusterprofile-webhook";
    let container = plane.api.get(path).body["spec"]["template"]["spec"]["containers"][0].clone();
    assert_eq!(container["ports"][0]["containerPort"], 10250);
    assert_eq!(container["resources"]["requests"], json!({"cpu": "250m", "memory": "512Mi"}));
    assert_eq!(container["resources"]["limits"], container["resources"]["requests"]);
}

/// The values of the page's table, and of the page on client certificates.
fn values_are_accepted(plane: &ControlPlane, shell: &Shell) {
    let page = Section::page("platforms").section("What can I set?");
    let rows = page.between("\n|---|---|---|\n", "\n\n").lines();
    let mut values: Vec<_> = rows
        .map(|row| {
            let cell = row.split(" | ").nth(2).expect("it has three columns");
            let values: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
            format!("--set '{}'", values.join("' --set '"))
        })
        .collect();
    assert!(values.len() >= 5, "{values:?}");
    let callers = Section::page("callers").section("Set the flags of the webhook");
    fs::write(shell.directory.join("client-ca.yaml"), callers.manifests()[0]).expect("a file can be written");
    values.push("--values client-ca.yaml".to_owned());
    for values in values {
        let privileged = values.contains("hostNetwork=true");
        let level = if privileged { "privileged" } else { "restricted" };
        shell.run(&format!(
            "kubectl label --overwrite namespace clusterprofile-webhook pod-security.kubernetes.io/enforce={level}"
        ));
        let yaml = shell.run(&format!("helm template any manifests/chart --namespace clusterprofile-webhook {values}"));
        fs::write(shell.directory.join("chart.yaml"), &yaml).expect("a file can be written");
        shell.run(&format!("kubectl apply {STRICT} --dry-run=server -f chart.yaml"));
        assert_admitted(&admit(plane, &documents(yaml.as_bytes()), &json!({})), &values);
    }
}
