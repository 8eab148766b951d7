//! `make install` and `make uninstall` on clusters in every state.

use std::{path::PathBuf, thread};

use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    page::Section,
    rendered::{at, text},
    wait::wait_until,
};

use super::{
    install::{is_refused_unseen, stored_configurations},
    installed::{DRY_RUN, MANAGER, NAMESPACE, Profiles, finalize, stored},
    managed::{is_armed, metric},
    manifests::Shell,
    pods::Pods,
};

/// From an empty cluster to an armed webhook and back, with the commands of the README.
pub(crate) fn installs_and_uninstalls(plane: &ControlPlane, shell: &Shell) {
    let scripts = Section::readme().section("Install").scripts();
    let [image_and_install, uninstall] = &scripts[..] else { panic!("which are these? {scripts:#?}") };
    // The tests need no container engine: `make image` is not run.
    let (image, install) = image_and_install.trim_end().split_once('\n').expect("two commands");
    let (_, name) = install.split_once("IMAGE=").expect("it names an image");
    assert_eq!(image, format!("make image IMAGE={name}"));

    let (printed, pods) = thread::scope(|scope| {
        let printed = scope.spawn(|| shell.run(install));
        wait_until("it is applied", || stored(plane, "Deployment")["kind"] == "Deployment");
        let deployment = stored(plane, "Deployment");
        assert_eq!(text(&deployment, "/spec/template/spec/containers/0/image"), name);
        let pods = Pods::start(plane, shell);
        (printed.join().expect("the script ends well"), pods)
    });
    assert!(is_armed(plane), "{printed}");
    assert!(printed.ends_with("install: done: the webhook is armed\n"), "{printed}");
    assert!(
        printed.contains("customresourcedefinition.apiextensions.k8s.io/clusterprofiles.multicluster.x-k8s.io created")
    );
    let profiles = Profiles::new(plane);
    profiles.wait_until_reviewed();
    wait_until("one leads", || pods.replicas.iter().filter(|replica| metric(replica, "leading") == 1).count() == 1);

    let before = definition(plane);
    let printed = shell.run(install);
    assert!(printed.ends_with("install: done: the webhook is armed\n"), "{printed}");
    assert_eq!(definition(plane), before);
    assert_eq!(profiles.create("refused", Some("another"), DRY_RUN).status, 422);

    run_uninstall(plane, shell, uninstall);
    pods.stop();
    assert_eq!(profiles.create("new", Some("another"), DRY_RUN).status, 201, "the webhook is not called");
    assert_eq!(plane.api.get(&profiles.item("reviewed")).status, 200);
    assert_eq!(definition(plane), before);
    shell.run(uninstall);
}

/// A failed installation blocks no writes, and can be removed.
pub(crate) fn cleans_up_what_is_left(plane: &ControlPlane, shell: &Shell) {
    for (command, missing) in [
        ("make image", "image: no name given; run: make image IMAGE="),
        ("make install", "install: no image given; run: make install IMAGE="),
        ("make install IMAGE='a b'", "install: IMAGE is not the name of an image: \"a b\""),
    ] {
        let printed = shell.run(&format!("! {command} 2>&1"));
        assert!(printed.contains(missing), "{printed}");
    }

    // The CRD of the hub, which it keeps.
    shell.run("kubectl create -f manifests/crd/clusterprofiles.yaml");
    let profiles = Profiles::new(plane);
    let before = definition(plane);
    let blind = blind(plane);
    let printed = shell.run(&format!("! KUBECONFIG={} make install IMAGE=none 2>&1", blind.display()));
    assert!(
        printed.contains("cannot get resource \"customresourcedefinitions\"") && !printed.contains("manifests/crd"),
        "{printed}"
    );
    // In YAML it is a number.
    let printed = shell.run("! make install IMAGE=1.0 TIMEOUT=1s 2>&1");
    assert!(
        printed.contains("install: keeping the existing CustomResourceDefinition, which is not from these manifests\n"),
        "{printed}"
    );
    assert!(printed.contains("install: not every Pod is ready after 1s; "), "{printed}");
    assert_eq!(definition(plane), before);
    assert_eq!(profiles.create("staying", Some(MANAGER), "").status, 201, "it stays open");

    // No replica responds, and the configuration fails closed.
    let closed = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail"}]);
    shell.run(&format!(
        "kubectl patch validatingwebhookconfiguration clusterprofile-webhook --type=json --patch='{closed}'"
    ));
    wait_until("nothing passes", || is_refused_unseen(&profiles.create("new", Some(MANAGER), DRY_RUN)));
    shell.run("kubectl delete service,serviceaccount --namespace clusterprofile-webhook --all");
    run_uninstall(plane, shell, "make uninstall");
    wait_until("all may be written", || profiles.create("new", Some("another"), DRY_RUN).status == 201);
    assert_eq!(plane.api.get(&profiles.item("staying")).status, 200);
    assert_eq!(definition(plane), before);

    // Deleting the namespace would delete its objects.
    shell.run("kubectl apply -k manifests/base");
    let profile = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile", "metadata": {"name": "inside"},
        "spec": {"displayName": "inside", "clusterManager": {"name": MANAGER}},
    });
    let inside = format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{NAMESPACE}/clusterprofiles");
    assert_eq!(plane.api.post(&inside, &profile).status, 201);
    let printed = shell.run(&format!("! KUBECONFIG={} make uninstall TIMEOUT=1s 2>&1", blind.display()));
    assert!(printed.contains("cannot get resource \"customresourcedefinitions\""), "{printed}");
    let namespace = plane.api.get(&format!("/api/v1/namespaces/{NAMESPACE}")).body;
    assert_eq!(namespace["metadata"]["deletionTimestamp"], Value::Null, "{printed}");
    let printed = shell.run("make uninstall");
    assert!(printed.contains("keeping the namespace clusterprofile-webhook"), "{printed}");
    assert_eq!(plane.api.get(&format!("{inside}/inside")).status, 200);
    assert_eq!(at(&stored(plane, "Deployment"), "/reason"), "NotFound");
    let left = shell.run("kubectl get -k manifests/base --ignore-not-found --output name");
    assert_eq!(left.trim_end(), "namespace/clusterprofile-webhook");
}

/// A kubeconfig of a user with all rights that an installation needs, except reading CRDs.
fn blind(plane: &ControlPlane) -> PathBuf {
    const GROUPS: [&str; 8] = [
        "",
        "admissionregistration.k8s.io",
        "apps",
        "coordination.k8s.io",
        "multicluster.x-k8s.io",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
    ];
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({
        "metadata": {"name": "blind"},
        "rules": [{"apiGroups": GROUPS, "resources": ["*"], "verbs": ["*"]}],
    });
    let binding = json!({
        "metadata": {"name": "blind"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "blind"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "blind"}],
    });
    for (path, object) in [
        ("/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "blind"}})),
        (&format!("{rbac}/clusterroles"), &role),
        (&format!("{rbac}/clusterrolebindings"), &binding),
    ] {
        assert_eq!(plane.api.post(path, object).status, 201, "{object}");
    }
    plane.service_account("default", "blind")
}

/// The webhook configurations are deleted first. Then the namespace ends, which the test does in place of a controller.
fn run_uninstall(plane: &ControlPlane, shell: &Shell, uninstall: &str) {
    thread::scope(|scope| {
        let printed = scope.spawn(|| shell.run(uninstall));
        finalize(plane, NAMESPACE);
        let gone = |configuration: &Value| configuration["reason"] == "NotFound";
        assert!(stored_configurations(plane).iter().all(gone), "the namespace goes before its webhooks");
        let printed = printed.join().expect("the script ends well");
        assert!(
            printed.ends_with("uninstall: done; ClusterProfiles and their definition are unchanged\n"),
            "{printed}"
        );
    });
    let left = shell.run("kubectl get -k manifests/base --ignore-not-found --output name");
    assert_eq!(left, "");
}

/// The object without its status, which the API server fills in over time.
fn definition(plane: &ControlPlane) -> [Value; 4] {
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let stored = plane.api.get(&format!("{definitions}/clusterprofiles.multicluster.x-k8s.io")).body;
    let metadata = at(&stored, "/metadata");
    [&metadata["uid"], &metadata["labels"], &metadata["annotations"], at(&stored, "/spec")].map(Clone::clone)
}
