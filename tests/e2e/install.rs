//! Installation as the README and the Makefile describe it.

use std::{fs, thread};

use serde_json::{Value, json};
use testkit::{
    api::Response,
    ca::Ca,
    control_plane::ControlPlane,
    page::Section,
    rendered::text,
    replica::Replica,
    wait::wait_until,
    webhook::{collection, configurations},
};

use super::{
    installed::{DRY_RUN, MANAGER, NAMESPACE, Profiles, finalize, serve},
    manifests::Shell,
};

pub(crate) fn installed_and_uninstalled_as_the_readme_says(plane: &ControlPlane, shell: &Shell) {
    let (readme, page) =
        (Section::readme().section("Install"), Section::page("install").section("Install with kustomize"));
    let scripts = [&readme, &page].map(Section::scripts);
    let [[_, uninstall], [_, with_cert_manager, _, with_a_pair]] = scripts.each_ref().map(Vec::as_slice) else {
        panic!("which are these? {scripts:#?}")
    };
    assert_eq!(with_cert_manager.trim_end(), "kubectl apply -k manifests/overlays/cert-manager", "what is rendered");

    shell.run(readme.command("kubectl apply -k manifests/crd"));
    let profiles = Profiles::new(plane);
    for name in ["staying", "leaving"] {
        let created = profiles.create(name, Some(MANAGER), "");
        assert_eq!(created.status, 201, "{created:#?}");
    }
    let kept = profiles.patch("leaving", "", &json!({"metadata": {"finalizers": ["example.com/inventory"]}}));
    assert_eq!(kept.status, 200, "{kept:#?}");
    plane.api.delete(&profiles.item("leaving"));

    let authority = Ca::new("a reader's own");
    let pair = authority.server(&[page.between("must be valid for `", "`")]);
    let files = [("ca.crt", &authority.certificate), ("tls.crt", &pair.certificate), ("tls.key", &pair.key)];
    for (name, content) in files {
        fs::write(shell.directory.join(name), content).expect("a file can be written");
    }
    shell.run(with_a_pair);

    only_finalizers_go_while_the_webhook_is_down(&profiles);
    let before = stored_configurations(plane);
    shell.run("kubectl apply -k manifests/overlays/certificate-pair");
    assert_eq!(stored_configurations(plane), before, "an upgrade keeps the caBundle");
    let replica = serve(plane, shell);
    profiles.wait_until_reviewed();
    drop(replica);
    wait_until("no replica responds", || is_refused_unseen(&profiles.create("new", Some(MANAGER), DRY_RUN)));

    thread::scope(|scope| {
        let script = scope.spawn(|| shell.run(uninstall));
        finalize(plane, NAMESPACE);
        script.join().expect("the script ends well");
    });
    wait_until("all may be written", || profiles.create("new", Some("another"), DRY_RUN).status == 201);
    assert_eq!(plane.api.get(&profiles.item("staying")).status, 200);
    shell.run("kubectl get -k manifests/crd");
}

fn only_finalizers_go_while_the_webhook_is_down(profiles: &Profiles<'_>) {
    wait_until("it is registered", || is_refused_unseen(&profiles.create("new", Some(MANAGER), DRY_RUN)));
    let version = json!({"status": {"version": {"kubernetes": "1.37.2"}}});
    let refused = profiles.patch("staying", "/status", &version);
    assert!(is_refused_unseen(&refused), "{refused:#?}");

    let refused = profiles.patch("leaving", "/status", &version);
    assert!(is_refused_unseen(&refused), "{refused:#?}");
    let passed = profiles.patch("leaving", "", &json!({"metadata": {"finalizers": null}}));
    assert_eq!(passed.status, 200, "{passed:#?}");
    assert_eq!(profiles.plane.api.get(&profiles.item("leaving")).status, 404);
}

pub(crate) fn is_refused_unseen(answer: &Response) -> bool {
    let message = answer.body["message"].as_str().unwrap_or_default();
    answer.status == 500 && message.contains("failed calling webhook \"validate.")
}

pub(crate) fn stored_configurations(plane: &ControlPlane) -> Vec<Value> {
    configurations().iter().map(|configuration| plane.api.get(&item(configuration)).body).collect()
}

pub(crate) fn registered_with_make(plane: &ControlPlane, shell: &Shell) {
    let readme = Section::readme().section("Install");
    shell.run(readme.command("kubectl apply -k manifests/crd"));
    let profiles = Profiles::new(plane);
    shell.run(readme.command("make register"));
    // The CA is another one too, and must replace the first.
    fs::remove_file(shell.directory.join("certs-dev/tls.crt")).expect("make has made a pair");
    shell.run(readme.command("make register"));
    let recipe = shell.run(&format!("{} --dry-run", readme.command("make run")));
    let replica = Replica::start(&development_arguments(&recipe), &shell.directory, None);
    for configuration in stored_configurations(plane) {
        // A developer may be running a server at the port that the manifests name.
        let url = text(&configuration, "/webhooks/0/clientConfig/url");
        let (origin, path) = url.rsplit_once('/').expect("it has a path");
        let (host, _) = origin.rsplit_once(':').expect("it has a port");
        let url = format!("{host}:{}/{path}", replica.address.port());
        let moved = json!([{"op": "replace", "path": "/webhooks/0/clientConfig/url", "value": url}]);
        assert_eq!(plane.api.patch(&item(&configuration), "json", &moved).status, 200);
    }
    profiles.wait_until_reviewed();
    shell.run(readme.command("kubectl delete -k manifests/overlays/dev"));
    wait_until("all may be written", || profiles.create("new", Some("another"), DRY_RUN).status == 201);
}

/// Arguments: those of `make run`, with free ports.
fn development_arguments(recipe: &str) -> Vec<String> {
    let (_, arguments) = recipe.split_once(" -- ").expect("cargo runs the binary with arguments");
    let own = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json"];
    arguments.split_whitespace().chain(own).map(ToOwned::to_owned).collect()
}

/// The path of a configuration.
pub(crate) fn item(configuration: &Value) -> String {
    format!("{}/{}", collection(configuration), text(configuration, "/metadata/name"))
}
