//! An empty value in YAML is null. In server-side apply, the API server shows a null label to webhooks as null, and
//! stores "".

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    profiles::{MANAGER, Profiles, labelled},
    verdict,
};

use super::planes::{Crd, Planes};

pub(crate) fn trial(planes: &Arc<Planes>) -> Trial {
    let planes = Arc::clone(planes);
    Trial::test("null_label::applied", move || {
        let plane = planes.get(Crd::Own);
        applied(&plane.control, &plane.plain_webhook().labels());
        Ok(())
    })
}

/// Rules treat a null label as the value that is stored; so does `check`.
fn applied(control: &ControlPlane, labels: &Value) {
    const MEMBER: &str = "multicluster.x-k8s.io/inventory-member-id";
    let profiles = Profiles::new(control, labels);
    let mut profile = labelled("empty-label");
    profile["metadata"]["labels"][MEMBER] = Value::Null;
    let path = format!("{}?fieldManager=test", profiles.path("empty-label"));
    let denied = control.api.patch(&path, "apply", &profile);
    let rules: Vec<_> = verdict::causes(&denied.body).into_iter().map(|cause| cause.rule).collect();
    assert_eq!((denied.status, &rules[..]), (422, &["inventory-member-id".to_owned()][..]), "{denied:#?}");
    assert_eq!(profiles.names(), [].into());

    // A null manager label is not an absent one, so it is not filled in.
    let mut profile = labelled("empty-manager");
    profile["metadata"]["labels"][MANAGER] = Value::Null;
    let path = format!("{}?fieldManager=test", profiles.path("empty-manager"));
    let denied = control.api.patch(&path, "apply", &profile);
    let rules: Vec<_> = verdict::causes(&denied.body).into_iter().map(|cause| cause.rule).collect();
    assert_eq!((denied.status, &rules[..]), (422, &["cluster-manager-label".to_owned()][..]), "{denied:#?}");

    // As in a file.
    let mut profile = labelled("empty-label");
    profile["metadata"]["namespace"] = json!("default");
    profile["metadata"]["labels"][MEMBER] = Value::Null;
    let mut check = Command::new(testkit::program());
    check.args(["check", "-"]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().expect("the binary was built");
    let manifest = profile.to_string();
    check.stdin.take().expect("it is piped").write_all(manifest.as_bytes()).expect("it reads");
    let output = check.wait_with_output().expect("it ends");
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.contains("[inventory-member-id]"), "{report}");
}
