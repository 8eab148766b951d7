//! What transcripts of kubectl play on: a namespace that the webhook reviews, and a directory with their manifests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clusterprofile_webhook::server::Config;
use serde_json::json;

use super::{control_plane::ControlPlane, webhook::Webhook};

/// The namespace of the API overview's example, and of all transcripts.
pub(crate) const NAMESPACE: &str = "fleet-system";

/// Registers the webhook and makes the namespace.
pub(crate) fn set(control: &ControlPlane) -> Webhook {
    let webhook = Webhook::start(control, "transcripts", Config::default());
    let namespace = json!({"metadata": {"name": NAMESPACE, "labels": webhook.labels()}});
    let created = control.api.post("/api/v1/namespaces", &namespace);
    assert_eq!(created.status, 201, "{}", created.body);
    webhook
}

/// A directory of a transcript's own, with the manifests of all.
pub(crate) fn directory(name: &str, control: &ControlPlane) -> PathBuf {
    let directory = control.directory().join("transcripts").join(name);
    fs::create_dir_all(&directory).expect("a directory can be made");
    for file in files("yaml") {
        fs::copy(&file, directory.join(file.file_name().expect("it has a name"))).expect("a manifest can be copied");
    }
    directory
}

/// The files of the transcripts that end so.
pub(crate) fn files(extension: &str) -> Vec<PathBuf> {
    let transcripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = fs::read_dir(transcripts).expect("the transcripts are there");
    let files = entries.map(|entry| entry.expect("it is readable").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}
