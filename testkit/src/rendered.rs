//! Manifests as kubectl renders them, and access to their fields.

use std::process::Command;

use clusterprofile_webhook::manifest;
use serde_json::Value;

/// Renders the kustomization in a directory, and returns its objects.
pub fn rendered(kubectl: Command, directory: &str) -> Vec<Value> {
    documents(kustomized(kubectl, directory).as_bytes())
}

/// Renders the kustomization in a directory as YAML.
pub fn kustomized(mut kubectl: Command, directory: &str) -> String {
    let output = kubectl.args(["kustomize", directory]).output().expect("kubectl can be run");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{directory}: {}: {complaints}", output.status);
    String::from_utf8(output.stdout).expect("what kubectl prints is text")
}

/// Parses YAML documents.
pub fn documents(yaml: &[u8]) -> Vec<Value> {
    let (documents, errors) = manifest::read(yaml);
    assert!(errors.is_empty(), "{errors:?}");
    documents.into_iter().map(|document| document.object).collect()
}

/// The only object of a kind.
pub fn only<'o>(objects: &'o [Value], kind: &str) -> &'o Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("there is no {kind}"));
    assert!(found.next().is_none(), "there is more than one {kind}");
    object
}

/// The value at a JSON Pointer. Panics if there is none.
pub fn at<'o>(object: &'o Value, pointer: &str) -> &'o Value {
    object.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not in {object:#}"))
}

/// The string at a JSON Pointer. Panics if there is none.
pub fn text<'o>(object: &'o Value, pointer: &str) -> &'o str {
    at(object, pointer).as_str().unwrap_or_else(|| panic!("{pointer} is no string in {object:#}"))
}

/// The list at a JSON Pointer. Panics if there is none.
pub fn items<'o>(object: &'o Value, pointer: &str) -> &'o [Value] {
    at(object, pointer).as_array().unwrap_or_else(|| panic!("{pointer} is no list in {object:#}"))
}

/// The only volume of a kind, such as `secret`, in the Pods of a Deployment.
pub fn volume<'o>(deployment: &'o Value, kind: &str) -> &'o Value {
    let volumes = items(deployment, "/spec/template/spec/volumes").iter().filter(|volume| volume.get(kind).is_some());
    let [volume] = volumes.collect::<Vec<_>>()[..] else { panic!("one volume of {kind}: {deployment:#}") };
    volume
}
