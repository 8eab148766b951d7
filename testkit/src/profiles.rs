//! Valid and invalid profiles in a namespace of one test.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    api::{Api, Response},
    control_plane::ControlPlane,
    wait::wait_until,
};

/// The label by which a cluster manager finds its profiles.
pub const MANAGER: &str = "x-k8s.io/cluster-manager";

/// The profiles of a new namespace.
pub struct Profiles<'c> {
    pub api: &'c Api,
    collection: String,
}

impl<'c> Profiles<'c> {
    /// Creates a namespace with these labels.
    pub fn new(control: &'c ControlPlane, labels: &Value) -> Self {
        let namespace = control.namespace(labels);
        let collection = format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{namespace}/clusterprofiles");
        Self { api: &control.api, collection }
    }

    pub fn create(&self, profile: &Value) -> Response {
        self.api.post(&self.collection, profile)
    }

    /// Creates a profile as a dry run.
    pub fn try_to_create(&self, profile: &Value) -> Response {
        self.api.post(&format!("{}?dryRun=All", self.collection), profile)
    }

    /// The URL path of a profile.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.collection)
    }

    /// Waits until the API server calls both webhooks. Then asserts that a valid profile gets its label and is stored,
    /// and that an invalid one is denied.
    pub fn assert_that_both_webhooks_are_called(&self) {
        wait_until("both webhooks are called", || {
            self.try_to_create(&bad("a", 0)).status == 422 && is_filled_in(&self.try_to_create(&good("a")))
        });
        let created = self.create(&good("good"));
        assert!(created.status == 201 && is_filled_in(&created), "{created:#?}");
        let denied = self.create(&bad("bad", 0));
        assert!(denied.status == 422 && denied.body.to_string().contains("[cluster-manager-label]"), "{denied:#?}");
    }

    /// The names of all stored profiles.
    pub fn names(&self) -> BTreeSet<String> {
        let list = self.api.get(&self.collection);
        let items = list.body["items"].as_array().expect("a list has items");
        items.iter().map(|item| item["metadata"]["name"].as_str().expect("it has a name").to_owned()).collect()
    }
}

/// A valid profile without the label that the webhook adds.
pub fn good(name: &str) -> Value {
    json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": name},
        "spec": {"clusterManager": {"name": "ocm"}},
    })
}

/// A valid profile in which the webhook has nothing to fill in.
pub fn labelled(name: &str) -> Value {
    let mut profile = good(name);
    profile["metadata"]["labels"] = json!({MANAGER: "ocm"});
    profile
}

/// A profile that a rule denies and the CRD accepts. `kind` selects one of three mistakes.
pub fn bad(name: &str, kind: usize) -> Value {
    let mut profile = labelled(name);
    match kind % 3 {
        0 => profile["metadata"]["labels"][MANAGER] = json!("another"),
        1 => profile["metadata"]["labels"]["multicluster.x-k8s.io/inventory-member-id"] = json!(""),
        _ => profile["spec"]["clusterManager"]["name"] = json!("not a label value"),
    }
    profile
}

/// Whether the webhook has added the label.
pub fn is_filled_in(answer: &Response) -> bool {
    answer.body["metadata"]["labels"][MANAGER] == "ocm"
}
