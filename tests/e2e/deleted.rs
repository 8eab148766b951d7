//! A profile that is being deleted: its finalizers can always be removed, and rules deny as usual.

use std::sync::Arc;

use clusterprofile_webhook::server::Config;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{
    api::Response,
    control_plane::ControlPlane,
    profiles::{MANAGER, labelled},
    verdict,
    wait::wait_until,
    webhook::Webhook,
};

use super::planes::{Crd, Planes};

pub(crate) fn trials(planes: &Arc<Planes>) -> Vec<Trial> {
    type Story = fn(&ControlPlane, &str);
    let stories: [(&str, Story); 3] = [
        ("denied", what_rules_deny_is_denied),
        ("finalizers-go", finalizers_go_whatever_is_stored),
        ("largest", the_largest_can_go),
    ];
    let trial = |((name, story), crd): ((&str, Story), Crd)| {
        let planes = Arc::clone(planes);
        let name = format!("deleted-{name}-{crd:?}").to_lowercase();
        Trial::test(format!("deleted::{name}"), move || {
            story(&planes.get(crd).control, &name);
            Ok(())
        })
    };
    stories.into_iter().flat_map(|story| Crd::ALL.map(|crd| (story, crd))).map(trial).collect()
}

/// Consumers still read such a profile, so its writer must not put the label of another manager or a password there.
fn what_rules_deny_is_denied(control: &ControlPlane, name: &str) {
    let webhook = Webhook::start(control, name, Config::default());
    let hub = Hub::new(control, &webhook);
    let item = hub.created("zombie", &json!(["example.com/kept-for-ever"]));
    let before = control.api.get(&item).body;

    let password = json!({"status": {"accessProviders": [{"name": "x", "cluster": {"server": "https://user:password@a.example"}}]}});
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    let writes = [
        ("", json!({"metadata": {"labels": {MANAGER: "kueue"}}}), "cluster-manager-label"),
        ("", json!({"metadata": {"finalizers": null, "labels": {MANAGER: "kueue"}}}), "cluster-manager-label"),
        ("", json!({"metadata": {"annotations": {"example.com/key": key}}}), "access-secret"),
        ("/status", password, "access-secret"),
    ];
    for (part, patch, rule) in writes {
        let denied = control.api.patch(&format!("{item}{part}"), "merge", &patch);
        let rules: Vec<_> = verdict::causes(&denied.body).into_iter().map(|cause| cause.rule).collect();
        assert_eq!((denied.status, rules), (422, vec![rule.to_owned()]), "{patch}: {denied:#?}");
    }
    assert_eq!(control.api.get(&item).body, before);

    let harmless = json!({"metadata": {"annotations": {"example.com/a": "b"}}});
    let passed = control.api.patch(&item, "merge", &harmless);
    assert_eq!(passed.status, 200, "{passed:#?}");
    hub.goes("zombie", "merge", &json!({"metadata": {"finalizers": null}}));
}

/// While the webhook is up and while it is down, from an object full of mistakes that were stored before the webhook
/// was installed.
fn finalizers_go_whatever_is_stored(control: &ControlPlane, name: &str) {
    let mut webhook = Webhook::start(control, name, Config::default());
    let hub = Hub::new(control, &webhook);
    for name in ["up", "down"] {
        for way in ["merge", "json", "put", "apply"] {
            hub.store(&mistaken(&format!("{name}-{way}")));
        }
    }
    let reviews = |webhook: &Webhook| ["mutate", "validate"].map(|phase| webhook.reviews(phase));
    let before = reviews(&webhook);
    hub.go_every_way("up");
    assert_eq!(reviews(&webhook), before, "a finalizer is removed without a review");

    webhook.server = None;
    wait_until("the webhook is down", || {
        let refused =
            control.api.patch(&hub.item("down-put"), "merge", &json!({"metadata": {"labels": {MANAGER: "a"}}}));
        is_refused_unseen(&refused)
    });
    let status = json!({"status": {"version": {"kubernetes": "1.37.0"}}});
    for (part, patch) in [
        ("/status", status),
        ("", json!({"spec": {"displayName": "another"}})),
        ("", json!({"metadata": {"annotations": {"example.com/a": "b"}}})),
        ("", json!({"metadata": {"labels": {"example.com/a": "b"}}})),
        ("", json!({"metadata": {"labels": null, "finalizers": null}})),
    ] {
        let refused = control.api.patch(&format!("{}{part}", hub.item("down-put")), "merge", &patch);
        assert!(is_refused_unseen(&refused), "{patch}: {refused:#?}");
    }
    hub.go_every_way("down");
}

/// The API server limits the cost of a match condition: the comparison of the largest object stays within the limit.
fn the_largest_can_go(control: &ControlPlane, name: &str) {
    let mut webhook = Webhook::start(control, name, Config::default());
    let hub = Hub::new(control, &webhook);
    for name in ["many", "long"] {
        let mut largest = leaving(name);
        // etcd accepts 1.5 MiB, and annotations may have 256 KiB.
        largest["metadata"]["annotations"] =
            (0..2_000).map(|number| (format!("example.com/{number}"), json!("a".repeat(100)))).collect();
        largest["metadata"]["labels"] = (0..500).map(|number| (format!("example.com/{number}"), json!("a"))).collect();
        largest["status"]["properties"] = if name == "many" {
            (0..16_000).map(|number| json!({"name": format!("a.{number}"), "value": "a".repeat(30)})).collect()
        } else {
            (0..1_000).map(|number| json!({"name": format!("a.{number}"), "value": "a".repeat(1_000)})).collect()
        };
        assert!(largest.to_string().len() > 1_200_000, "{}", largest.to_string().len());
        hub.store(&largest);
    }
    webhook.server = None;
    let status = json!({"status": {"version": {"kubernetes": "1.37.0"}}});
    for name in ["many", "long"] {
        wait_until("what changes its status is reviewed", || {
            is_refused_unseen(&control.api.patch(&format!("{}/status", hub.item(name)), "merge", &status))
        });
        hub.goes(name, "merge", &json!({"metadata": {"finalizers": null}}));
    }
}

/// Profiles of a namespace that the webhook reviews.
struct Hub<'c> {
    control: &'c ControlPlane,
    namespace: String,
}

impl<'c> Hub<'c> {
    fn new(control: &'c ControlPlane, webhook: &Webhook) -> Self {
        Self { control, namespace: control.namespace(&webhook.labels()) }
    }

    fn item(&self, name: &str) -> String {
        format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{}/clusterprofiles/{name}", self.namespace)
    }

    /// Creates a valid profile with these finalizers and deletes it; returns its path.
    fn created(&self, name: &str, finalizers: &Value) -> String {
        let mut profile = labelled(name);
        profile["metadata"]["finalizers"] = finalizers.clone();
        let item = self.item(name);
        let (collection, _) = item.rsplit_once('/').expect("it is a path");
        let created = self.control.api.post(collection, &profile);
        assert_eq!(created.status, 201, "{created:#?}");
        let deleted = self.control.api.delete(&item);
        assert_eq!(deleted.status, 200, "{deleted:#?}");
        item
    }

    fn store(&self, profile: &Value) {
        self.control.store(&self.namespace, profile.clone());
    }

    /// Removes the finalizers of the profiles with this prefix, each in the way of another client.
    fn go_every_way(&self, prefix: &str) {
        let api = &self.control.api;
        self.goes(&format!("{prefix}-merge"), "merge", &json!({"metadata": {"finalizers": null}}));

        let name = format!("{prefix}-json");
        let removed =
            api.patch(&self.item(&name), "json", &json!([{"op": "remove", "path": "/metadata/finalizers/0"}]));
        assert_eq!(removed.status, 200, "one of two: {removed:#?}");
        self.goes(&name, "json", &json!([{"op": "remove", "path": "/metadata/finalizers/0"}]));

        let item = self.item(&format!("{prefix}-put"));
        let mut read = api.get(&item).body;
        read["metadata"].as_object_mut().expect("it has metadata").remove("finalizers");
        assert_gone(self.control, &item, &api.put(&item, &read));

        // A client that applied finalizers, and nothing else, applies an object without them.
        let (item, query) = (self.item(&format!("{prefix}-apply")), "?fieldManager=test&force=true");
        let mut applied = json!({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1",
            "kind": "ClusterProfile",
            "metadata": {"finalizers": ["example.com/a", "example.com/b"]},
        });
        let owned = api.patch(&format!("{item}{query}"), "apply", &applied);
        assert_eq!(owned.status, 200, "{owned:#?}");
        let all = api.patch(&item, "merge", &json!({"metadata": {"managedFields": owned_by_test(&owned.body)}}));
        assert_eq!(all.status, 200, "{all:#?}");
        applied["metadata"] = json!({});
        assert_gone(self.control, &item, &api.patch(&format!("{item}{query}"), "apply", &applied));
    }

    /// Removes all finalizers with this patch.
    fn goes(&self, name: &str, kind: &str, patch: &Value) {
        let item = self.item(name);
        assert_gone(self.control, &item, &self.control.api.patch(&item, kind, patch));
    }
}

fn assert_gone(control: &ControlPlane, item: &str, removed: &Response) {
    assert_eq!(removed.status, 200, "{removed:#?}");
    assert_eq!(control.api.get(item).status, 404);
}

/// The managedFields entries of that client.
fn owned_by_test(profile: &Value) -> Vec<Value> {
    let entries = profile["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    entries.into_iter().filter(|entry| entry["manager"] == "test").collect()
}

fn is_refused_unseen(answer: &Response) -> bool {
    let message = answer.body["message"].as_str().unwrap_or_default();
    answer.status == 500 && message.contains("failed calling webhook \"validate.")
}

/// A profile that a client deleted long ago, with two finalizers.
fn leaving(name: &str) -> Value {
    let mut profile = labelled(name);
    profile["metadata"]["deletionTimestamp"] = json!("2025-01-02T00:00:00Z");
    profile["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    profile["metadata"]["finalizers"] = json!(["example.com/a", "example.com/b"]);
    profile["status"] = json!({});
    profile
}

/// A profile in which nearly every field breaks a rule.
fn mistaken(name: &str) -> Value {
    let mut profile = leaving(name);
    profile["metadata"]["labels"] = json!({MANAGER: "another", "multicluster.x-k8s.io/inventory-member-id": ""});
    profile["metadata"]["annotations"] = json!({"example.com/key": "-----BEGIN PRIVATE KEY-----"});
    profile["spec"] = json!({"clusterManager": {"name": "no label value"}});
    profile["status"] = json!({
        "conditions": [{"type": "no type!", "status": "Yes"}, {"type": "nor this!"}],
        "properties": [{"name": "-", "value": ""}],
        "accessProviders": [{"name": "a", "cluster": {"server": "https://user:password@a.example"}}, {"name": "a"}],
    });
    profile
}
