//! Profiles in a namespace of a test's own, good ones and bad ones.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    api::{Answer, Api},
    control_plane::ControlPlane,
    wait::wait_until,
};

/// The label by which managers tell their profiles.
pub(crate) const MANAGER: &str = "x-k8s.io/cluster-manager";

/// A namespace for profiles.
pub(crate) struct Profiles<'c> {
    pub api: &'c Api,
    collection: String,
}

impl<'c> Profiles<'c> {
    /// A new namespace with these labels.
    pub(crate) fn new(control: &'c ControlPlane, labels: &Value) -> Self {
        let namespace = control.namespace(labels);
        let collection = format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{namespace}/clusterprofiles");
        Self { api: &control.api, collection }
    }

    pub(crate) fn create(&self, profile: &Value) -> Answer {
        self.api.post(&self.collection, profile)
    }

    /// As [`Profiles::create`], but nothing is stored.
    pub(crate) fn try_to_create(&self, profile: &Value) -> Answer {
        self.api.post(&format!("{}?dryRun=All", self.collection), profile)
    }

    /// Where the profile of that name is.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.collection)
    }

    /// Waits until both webhooks are called; then a good profile is filled in and stored, a bad one denied by its rule.
    pub(crate) fn assert_that_both_webhooks_are_called(&self) {
        wait_until("both webhooks are called", || {
            self.try_to_create(&bad("a", 0)).status == 422 && is_filled_in(&self.try_to_create(&good("a")))
        });
        let created = self.create(&good("good"));
        assert!(created.status == 201 && is_filled_in(&created), "{created:#?}");
        let denied = self.create(&bad("bad", 0));
        assert!(denied.status == 422 && denied.body.to_string().contains("[cluster-manager-label]"), "{denied:#?}");
    }

    /// Which there are.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let list = self.api.get(&self.collection);
        let items = list.body["items"].as_array().expect("a list has items");
        items.iter().map(|item| item["metadata"]["name"].as_str().expect("it has a name").to_owned()).collect()
    }
}

/// As a person writes it: sound, and without what the webhook fills in.
pub(crate) fn good(name: &str) -> Value {
    json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": name},
        "spec": {"clusterManager": {"name": "ocm"}},
    })
}

/// Sound, with nothing to fill in.
pub(crate) fn labelled(name: &str) -> Value {
    let mut profile = good(name);
    profile["metadata"]["labels"] = json!({MANAGER: "ocm"});
    profile
}

/// What a rule denies, and the CRD does not; a few kinds of it.
pub(crate) fn bad(name: &str, kind: usize) -> Value {
    let mut profile = labelled(name);
    match kind % 3 {
        0 => profile["metadata"]["labels"][MANAGER] = json!("another"),
        1 => profile["metadata"]["labels"]["multicluster.x-k8s.io/inventory-member-id"] = json!(""),
        _ => profile["spec"]["clusterManager"]["name"] = json!("not a label value"),
    }
    profile
}

/// Whether the webhook has filled in the label.
pub(crate) fn is_filled_in(answer: &Answer) -> bool {
    answer.body["metadata"]["labels"][MANAGER] == "ocm"
}
