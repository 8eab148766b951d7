//! Real cluster managers, as an API server sees them: the desired profile of each, and how it writes it.

use std::fs;

use clusterprofile_webhook::manifest;
use serde_json::{Value, json};
use testkit::profiles::MANAGER;

use self::{
    Passes::{Always, UntilAtRest},
    Step::{Edited, Wants},
};
use super::writer::{Main, Status, Writer};

/// A cluster manager with one profile.
#[derive(Clone, Copy)]
pub(crate) struct Manager {
    pub name: &'static str,
    pub steps: &'static [Step],
    /// One pass of its loop, with the desired profile.
    pub pass: fn(&mut Writer<'_>, &Value),
    pub passes: Passes,
}

/// An event for the profile.
pub(crate) enum Step {
    /// The desired profile becomes that of a recorded body or of a file of the test data.
    Wants(&'static str),
    /// Another client sends a merge patch.
    Edited(&'static str),
}

/// When the loop ends.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Passes {
    /// The manager writes until nothing differs.
    UntilAtRest,
    /// The manager writes in every pass.
    Always,
}

pub(crate) const MANAGERS: [Manager; 8] = [
    Manager {
        name: "ocm",
        steps: &[
            Wants("ocm-create-mutate"),
            Wants("ocm-update-clusterset-empty-mutate"),
            Wants("ocm-update-clusterset-label-mutate"),
            Wants("ocm-status-joined-only-mutate"),
            Wants("ocm-status-properties-validate"),
            Wants("ocm-status-unknown-validate"),
            Wants("ocm-status-version-empty-validate"),
            Wants("ocm-status-no-properties-validate"),
            Wants("ocm-status-keeps-others-entries-validate"),
            Edited(r#"{"metadata": {"labels": {"x-k8s.io/cluster-manager": null}}}"#),
            Wants("ocm-update-restores-manager-label-validate"),
        ],
        pass: ocm,
        passes: UntilAtRest,
    },
    Manager {
        name: "kubefleet",
        steps: &[
            Wants("kubefleet-create-mutate"),
            Wants("p-kubefleet-03-status-no-agent"),
            Wants("kubefleet-status-server-empty-mutate"),
            Wants("kubefleet-status-heartbeat-lost-mutate"),
            Wants("kubefleet-status-ca-data-mutate"),
            Wants("kubefleet-status-carries-others-entries-mutate"),
            Edited(r#"{"spec": {"displayName": "Hacked"}}"#),
            Wants("kubefleet-update-repairs-displayname-mutate"),
        ],
        pass: kubefleet,
        passes: UntilAtRest,
    },
    // Before it became KubeFleet, it did not compare.
    Manager { name: "azure-fleet", steps: &[Wants("p-azurefleet-2024-status")], pass: updates, passes: Always },
    Manager { name: "gke-fleet", steps: &[Wants("p-gke-fleet-01-real")], pass: updates, passes: Always },
    Manager {
        name: "cluster-api",
        steps: &[
            Wants("p-capi-02-status-not-ready"),
            Wants("p-upstream-02-kubeconfig-secretreader-status"),
            Wants("p-capi-02-status-not-ready"),
        ],
        pass: cluster_api,
        passes: Always,
    },
    Manager { name: "gateway", steps: &[Wants("p-gateway-02-status-disabled")], pass: gateway, passes: Always },
    Manager {
        name: "upstream-suite",
        steps: &[
            Wants("upstream-suite-create-mutate"),
            Wants("upstream-suite-status-mutate"),
            Wants("upstream-suite-status-no-conditions-mutate"),
        ],
        pass: updates,
        passes: Always,
    },
    Manager { name: "kro-fleet", steps: &[Wants("p-krofleet-02-status")], pass: kubectl, passes: Always },
];

/// The desired profile. `file` may be of another cluster, so name, spec and manager label come from `first`.
pub(crate) fn want(file: &str, first: &str) -> Value {
    let (wanted, identity) = (recorded(file), recorded(first));
    let metadata = |object: &Value, field: &str| object["metadata"][field].clone();
    let mut labels = metadata(&wanted, "labels");
    labels[MANAGER] = metadata(&identity, "labels")[MANAGER].clone();
    let mut want = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": metadata(&identity, "name"), "labels": labels, "annotations": metadata(&wanted, "annotations")},
        "spec": identity["spec"],
        "status": wanted["status"],
    });
    without_nulls(&mut want);
    want
}

fn recorded(name: &str) -> Value {
    let read = |path: String| fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    if name.starts_with("p-") {
        return manifest::read(&read(format!("tests/data/profiles/{name}.yaml"))).0.remove(0).object;
    }
    let body = read(format!("tests/data/admission-reviews/{name}.json"));
    let mut body: Value = serde_json::from_slice(&body).expect("what was recorded is JSON");
    body["request"]["object"].take()
}

pub(crate) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// A typed create; then merge patches of the differences, both with the resourceVersion that was read. After the patch
/// of the labels, that of the status is a conflict, and the next pass repeats it.
fn ocm(writer: &mut Writer<'_>, want: &Value) {
    let Some(stored) = writer.read() else {
        writer.create(&typed(want.clone()));
        return;
    };
    let metadata = json!({"uid": stored["metadata"]["uid"], "resourceVersion": stored["metadata"]["resourceVersion"]});
    let mut labelled = stored["metadata"]["labels"].clone();
    merge_labels(&mut labelled, want);
    if labelled != stored["metadata"]["labels"] {
        let mut patch = json!({"metadata": metadata});
        patch["metadata"]["labels"] = merge_patch(&stored["metadata"]["labels"], &labelled);
        writer.merge(Main, &patch);
    }
    let (stored, want) = (typed(stored), typed(want.clone()));
    if want["status"] != stored["status"] && want["status"] != json!({"version": {}}) {
        let patch = json!({"metadata": metadata, "status": merge_patch(&stored["status"], &want["status"])});
        writer.merge(Status, &patch);
    }
}

/// A typed create; then an update of the whole profile if known fields differ, and one of the status.
fn kubefleet(writer: &mut Writer<'_>, want: &Value) {
    let stored = match writer.read() {
        Some(stored) => {
            let mut mine = stored.clone();
            mine["metadata"]["labels"][MANAGER] = want["metadata"]["labels"][MANAGER].clone();
            mine["spec"]["displayName"] = want["spec"]["displayName"].clone();
            if mine == stored { stored } else { writer.put(Main, &typed(mine)) }
        }
        None => writer.create(&typed(want.clone())),
    };
    let mut mine = stored.clone();
    mine["status"] = want["status"].clone();
    let mine = typed(mine);
    if mine != typed(stored) {
        writer.put(Status, &mine);
    }
}

/// A typed create or update of the whole profile with all labels replaced; then an update of the status.
fn updates(writer: &mut Writer<'_>, want: &Value) {
    let stored = match writer.read() {
        Some(mut stored) => {
            stored["metadata"]["labels"] = want["metadata"]["labels"].clone();
            stored["spec"] = want["spec"].clone();
            writer.put(Main, &typed(stored))
        }
        None => writer.create(&typed(want.clone())),
    };
    let mut mine = stored;
    mine["status"] = want["status"].clone();
    writer.put(Status, &typed(mine));
}

/// As [`updates`], with the time of the write in each condition.
fn gateway(writer: &mut Writer<'_>, want: &Value) {
    let mut want = want.clone();
    stamp(&mut want, &writer.now());
    updates(writer, &want);
}

/// A typed create, or an update if labels are missing; then server-side apply of the status, with the time of the write
/// in each condition.
fn cluster_api(writer: &mut Writer<'_>, want: &Value) {
    if let Some(stored) = writer.read() {
        let mut mine = stored.clone();
        merge_labels(&mut mine["metadata"]["labels"], want);
        if mine != stored {
            writer.put(Main, &typed(mine));
        }
    } else {
        writer.create(&typed(want.clone()));
    }
    let mut status = want.clone();
    if status["status"]["conditions"].is_null() {
        status["status"]["conditions"] = json!([
            {"type": "AccessProvidersReady", "status": "True", "reason": "Populated", "message": "", "observedGeneration": 7},
            {"type": "ControlPlaneHealthy", "status": "True", "reason": "ControlPlaneReachable", "message": "", "observedGeneration": 7},
        ]);
    }
    stamp(&mut status, &writer.now());
    status["metadata"] = json!({"name": want["metadata"]["name"]});
    status.as_object_mut().expect("a profile is an object").remove("spec");
    writer.apply(Status, "capi-cluster-to-clusterprofile-controller", &status);
}

/// `kubectl apply --server-side`, then `kubectl patch --subresource=status --type=merge`.
fn kubectl(writer: &mut Writer<'_>, want: &Value) {
    let mut main = want.clone();
    main.as_object_mut().expect("a profile is an object").remove("status");
    writer.apply(Main, "kubectl", &main);
    writer.merge(Status, &json!({"status": want["status"]}));
}

/// As the Go type of the profile is serialized: always with the version.
fn typed(mut object: Value) -> Value {
    if object["status"]["version"].is_null() {
        object["status"]["version"] = json!({});
    }
    object
}

fn merge_labels(labels: &mut Value, want: &Value) {
    json_patch::merge(labels, &want["metadata"]["labels"]);
}

fn stamp(want: &mut Value, now: &str) {
    let conditions = want.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        condition["lastTransitionTime"] = json!(now);
    }
}

/// The merge patch (RFC 7386) that makes `new` of `old`.
pub(crate) fn merge_patch(old: &Value, new: &Value) -> Value {
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else { return new.clone() };
    let removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let changed = changed.map(|(key, value)| (key.clone(), merge_patch(&old[key], value)));
    removed.chain(changed).collect()
}
