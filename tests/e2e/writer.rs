//! A writer of one profile, and a record of its writes.

use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::{
    api::{Api, Response},
    control_plane::ControlPlane,
};

pub(crate) use Part::{Main, Status};

/// The part that a write changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    Main,
    Status,
}

/// A client that writes one profile.
pub(crate) struct Writer<'c> {
    api: &'c Api,
    namespace: String,
    name: String,
    passed: i64,
    pub sent: Vec<Sent>,
}

/// A write and its result.
pub(crate) struct Sent {
    /// For example `PUT Status`.
    pub what: String,
    pub status: u16,
    /// Whether the write changed the resourceVersion.
    pub changed: bool,
}

impl<'c> Writer<'c> {
    pub(crate) fn new(control: &'c ControlPlane, namespace: String, name: &str) -> Self {
        Self { api: &control.api, namespace, name: name.into(), passed: 0, sent: Vec::new() }
    }

    pub(crate) fn create(&mut self, object: &Value) -> Value {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.namespace);
        self.send("POST", &self.collection(), "application/json", Main, &object)
    }

    pub(crate) fn put(&mut self, part: Part, object: &Value) -> Value {
        self.send("PUT", &self.item(part), "application/json", part, object)
    }

    pub(crate) fn merge(&mut self, part: Part, patch: &Value) -> Value {
        self.send("PATCH", &self.item(part), "application/merge-patch+json", part, patch)
    }

    /// Server-side apply without `force`.
    pub(crate) fn apply(&mut self, part: Part, manager: &str, object: &Value) -> Value {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.namespace);
        let path = format!("{}?fieldManager={manager}&force=false", self.item(part));
        self.send("PATCH", &path, "application/apply-patch+yaml", part, &object)
    }

    /// A merge patch by another client.
    pub(crate) fn edit(&self, patch: &Value) {
        let answer = self.api.patch(&self.item(Main), "merge", patch);
        assert_eq!(answer.status, 200, "{answer:#?}");
    }

    /// Deletes the profile, which remains as long as it has finalizers.
    pub(crate) fn delete(&self) {
        let answer = self.api.delete(&self.item(Main));
        assert_eq!(answer.status, 200, "{answer:#?}");
    }

    /// The time of a write, one second after the last, so that it does not depend on the speed of the test.
    pub(crate) fn now(&mut self) -> String {
        const START: i64 = 1_780_315_200;
        self.passed += 1;
        Timestamp::from_second(START + self.passed).expect("it is this century").to_string()
    }

    pub(crate) fn read(&self) -> Option<Value> {
        let answer = self.api.get(&self.item(Main));
        match answer.status {
            200 => Some(answer.body),
            404 => None,
            _ => panic!("{answer:#?}"),
        }
    }

    /// Sends a write, checks that the stored profile has what was written, and returns that profile.
    fn send(&mut self, method: &str, path: &str, kind: &str, part: Part, object: &Value) -> Value {
        let before = self.read();
        let answer = self.api.call(method, path, Some((kind, object)));
        let after = self.read().expect("a write leaves a profile");
        let version = |profile: &Value| profile["metadata"]["resourceVersion"].clone();
        let changed = before.as_ref().map(version) != Some(version(&after));
        self.assert_taken(&answer, part, object, &after);
        self.sent.push(Sent { what: format!("{method} {part:?}"), status: answer.status, changed });
        after
    }

    fn assert_taken(&self, answer: &Response, part: Part, object: &Value, after: &Value) {
        // After a conflict a client tries again; after a denial it does not.
        if answer.status == 409 {
            return;
        }
        assert!(matches!(answer.status, 200 | 201), "{}: {object:#}\n{answer:#?}", self.namespace);
        let written: &[&str] = match part {
            Main => &["/metadata/labels", "/metadata/annotations", "/spec"],
            Status => &["/status"],
        };
        let mut again = after.clone();
        for pointer in written {
            if let Some((field, written)) = again.pointer_mut(pointer).zip(object.pointer(pointer)) {
                json_patch::merge(field, written);
            }
        }
        assert_eq!(&again, after, "what was written is not what is read back");
    }

    fn collection(&self) -> String {
        format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{}/clusterprofiles", self.namespace)
    }

    fn item(&self, part: Part) -> String {
        let subresource = if part == Status { "/status" } else { "" };
        format!("{}/{}{subresource}", self.collection(), self.name)
    }
}
