//! The base, applied again and again as Flux does, as `docs/install.md` describes.

use std::fs;

use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    page::Section,
    rendered::{at, documents, text},
    wait::wait_until,
};

use super::{
    gitops::generations,
    installed::{Profiles, serve_managed},
    managed::{is_armed, metric},
    manifests::Shell,
};

/// Flux applies server-side and by force, under this name.
const FLUX: &str = "--server-side --force-conflicts --field-manager=kustomize-controller";

pub(crate) fn changes_nothing_of_an_armed_webhook(plane: &ControlPlane, shell: &Shell) {
    shell.run("kubectl apply -k manifests/crd");
    let profiles = Profiles::new(plane);
    shell.run(&format!("kubectl apply {FLUX} -k manifests/base"));
    let replica = serve_managed(plane, shell);
    wait_until("it is armed", || is_armed(plane));
    profiles.wait_until_reviewed();

    let page = Section::page("install").section("Install with Flux");
    let [kustomization] = page.manifests()[..] else { panic!("one Kustomization") };
    let [kustomization] = &documents(kustomization.as_bytes())[..] else { panic!("one Kustomization") };
    let path = text(kustomization, "/spec/path").trim_start_matches("./");
    let patched = json!({
        "resources": [format!("../{path}")],
        "images": at(kustomization, "/spec/images"),
        "patches": at(kustomization, "/spec/patches"),
    });
    let directory = shell.directory.join("flux");
    fs::create_dir(&directory).expect("a directory can be made");
    fs::write(directory.join("kustomization.yaml"), patched.to_string()).expect("a file can be written");
    let before: Vec<Value> = generations(plane);
    for _ in 0..3 {
        shell.run(&format!("kubectl apply {FLUX} -k flux"));
        assert!(is_armed(plane));
        assert_eq!(generations(plane), before);
    }
    for field in ["failure_policy", "ca_bundle"] {
        assert_eq!(metric(&replica, &format!("repairs_total{{field=\"{field}\"}}")), 0, "{field}");
    }
}
