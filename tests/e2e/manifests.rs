//! Stories that install the manifests, each on an API server of its own without the CRD.

use std::{
    env, fs,
    os::unix::fs::symlink,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf, absolute},
    process::Command,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    helm::Helm,
    programs::Assets,
    prometheus,
    rendered::{at, only, rendered, text},
    transcript::bash,
};

use super::{
    break_glass, cert_manager::CertManager, chart, filtered, flux, gitops, harmed, install, installations, make,
    managed, observed, platforms, renewal,
};

pub(crate) fn trials(assets: &Assets) -> Vec<Trial> {
    type Story = fn(&ControlPlane, &Shell);
    let mut stories: Vec<(&str, Story)> = vec![
        ("accepted", all_are_accepted_without_a_warning),
        ("platforms", platforms::are_accepted),
        ("installed", install::installed_and_uninstalled_as_the_readme_says),
        ("registered", install::registered_with_make),
        ("make-installs", make::installs_and_uninstalls),
        ("make-cleans-up", make::cleans_up_what_is_left),
        ("managed", managed::works_and_is_armed_as_it_is),
        ("open", managed::stays_open_where_nothing_is_denied),
        ("installations", installations::each_proves_its_own_path),
        ("flux", flux::changes_nothing_of_an_armed_webhook),
        ("filtered", filtered::are_created),
        ("harmed", harmed::no_call_fails),
        ("break-glass", break_glass::serves_one_write_of_who_may),
    ];
    if CertManager::find().is_some() {
        stories.push(("cert-manager", renewal::no_call_fails));
    }
    if Helm::find().is_some() {
        stories.push(("chart", chart::is_installed_upgraded_rolled_back_and_gone));
        stories.push(("gitops", gitops::an_armed_webhook_differs_in_nothing));
    }
    if prometheus::program("prometheus").is_some() {
        stories.push(("observed", observed::every_alert_fires_and_every_query_has_an_answer));
    } else {
        println!("e2e: the story of Prometheus is skipped: apt-get install prometheus");
    }
    let trial = |(name, story): (&'static str, Story)| {
        let assets = assets.clone();
        Trial::test(format!("manifests::{name}"), move || {
            let plane = ControlPlane::start(&assets, &format!("manifests-{name}"), &[]);
            let result = catch_unwind(AssertUnwindSafe(|| story(&plane, &Shell::new(&plane))));
            if let Err(panic) = result {
                println!("e2e: logs and data are in {}", plane.directory().display());
                show_logs(plane.directory());
                resume_unwind(panic);
            }
            plane.forget();
            Ok(())
        })
    };
    stories.into_iter().map(trial).collect()
}

/// Prints the end of the log of each replica, because the machine of the test may be gone when its failure is read.
fn show_logs(directory: &Path) {
    const LINES: usize = 40;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            show_logs(&path);
        } else if path.ends_with("replica.log") {
            let log = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            println!("e2e: the end of {}:\n{}", path.display(), lines[lines.len().saturating_sub(LINES)..].join("\n"));
        }
    }
}

/// A shell in a writable copy of the repository's root, with the Makefile and the manifests.
pub(crate) struct Shell {
    pub directory: PathBuf,
    kubectl: Command,
}

impl Shell {
    fn new(plane: &ControlPlane) -> Self {
        let directory = plane.directory().join("shell");
        fs::create_dir_all(directory.join("certs-dev")).expect("a directory can be made");
        for name in ["Makefile", "manifests"] {
            symlink(absolute(name).expect("it has a path"), directory.join(name)).expect("a link can be made");
        }
        fs::copy("certs-dev/make.sh", directory.join("certs-dev/make.sh")).expect("the script can be copied");
        let mut kubectl = plane.kubectl();
        let helm = absolute("target/helm").expect("it has a path");
        let others = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([helm].into_iter().chain(env::split_paths(&others)));
        kubectl.env("PATH", path.expect("no directory has a colon in its name"));
        Self { directory, kubectl }
    }

    /// Sets the timeout of the webhook to 30 seconds in the manifests that scripts apply, so that a story does not
    /// depend on speed.
    pub(crate) fn be_patient(&self) {
        let manifests = absolute("manifests").expect("it has a path");
        self.run(&format!(
            "rm manifests
             cp -r {} manifests
             sed -i 's/^  timeoutSeconds: 5$/  timeoutSeconds: 30/' manifests/base/webhooks/*.yaml manifests/chart/files/*.yaml
             [ $(grep -l '^  timeoutSeconds: 30$' manifests/base/webhooks/*.yaml manifests/chart/files/*.yaml | wc -l) = 5 ]",
            manifests.display()
        ));
    }

    /// Runs a script, and returns what it printed.
    ///
    /// # Panics
    ///
    /// Panics if a command fails, warns or takes too long.
    pub(crate) fn run(&self, script: &str) -> String {
        let mut shell = bash(&self.kubectl, &self.directory);
        let output = shell.args(["-euo", "pipefail", "-c", script]).output().expect("coreutils are installed");
        let [printed, errors] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success() && errors.is_empty(), "{script}\n{}\n{printed}\n{errors}", output.status);
        printed
    }
}

pub(crate) const STRICT: &str = "--validate=strict --warnings-as-errors";

fn all_are_accepted_without_a_warning(plane: &ControlPlane, shell: &Shell) {
    for name in ["crd", "base", "overlays/certificate-pair", "overlays/dev"] {
        let apply = || shell.run(&format!("kubectl apply {STRICT} -k manifests/{name}"));
        let stored = || shell.run(&format!("kubectl get -o json -k manifests/{name}"));
        apply();
        if name == "crd" {
            shell.run("kubectl wait --for=condition=Established --timeout=2m -f manifests/crd/clusterprofiles.yaml");
        }
        let before = stored();
        assert!(before.contains("resourceVersion"), "{before}");
        apply();
        assert_eq!(stored(), before, "applied again, {name} changes");
    }

    // Without those that need the CRDs of cert-manager.
    let mut objects = rendered(plane.kubectl(), "manifests/overlays/cert-manager");
    objects.retain(|object| !text(object, "/apiVersion").starts_with("cert-manager.io/"));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    fs::write(shell.directory.join("overlay.json"), list.to_string()).expect("a file can be written");
    let applied = shell.run(&format!("kubectl apply {STRICT} --dry-run=server -f overlay.json"));
    assert_eq!(applied.lines().count(), objects.len(), "{applied}");

    pods_are_admitted(plane);
}

/// The API server does not check a Pod template, only the Pods made from it.
fn pods_are_admitted(plane: &ControlPlane) {
    let base = rendered(plane.kubectl(), "manifests/base");
    let deployment = only(&base, "Deployment");
    let namespace = text(deployment, "/metadata/namespace");
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let admitted = |deployment: &Value, name: &str| {
        let mut pod = at(deployment, "/spec/template").clone();
        pod["metadata"]["name"] = json!(name);
        let admitted = plane.api.post(&pods, &pod);
        assert_eq!((admitted.status, &admitted.warnings[..]), (201, &[][..]), "{}", admitted.body);
        let volumes = at(&admitted.body, "/spec/volumes").as_array().expect("volumes are a list");
        let has_token = volumes.iter().any(|volume| volume.to_string().contains("serviceAccountToken"));
        (pod, has_token)
    };
    let (mut pod, has_token) = admitted(deployment, "as-made-by-the-deployment");
    assert!(has_token, "without it there are no certificates and no permission checks");
    let with_files = rendered(plane.kubectl(), "manifests/overlays/certificate-pair");
    let (_, has_token) = admitted(only(&with_files, "Deployment"), "with-a-certificate-pair");
    assert!(has_token, "without it there are no permission checks");

    pod["metadata"]["name"] = json!("privileged");
    pod["spec"]["hostNetwork"] = json!(true);
    let refused = plane.api.post(&pods, &pod);
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(text(&refused.body, "/message").contains("restricted"), "{}", refused.body);
    let name = text(deployment, "/metadata/name");
    let deployment = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}?dryRun=All");
    let privileged = json!({"spec": {"template": {"spec": {"hostNetwork": true}}}});
    let warned = plane.api.patch(&deployment, "merge", &privileged);
    assert!(warned.warnings.iter().any(|warning| warning.contains("restricted")), "{warned:#?}");
}
