//! Random profiles with stored mistakes, and random writes of them.

use serde_json::{Value, json};
use testkit::{profiles::MANAGER, random::Random};

use super::super::managers::{merge_patch, without_nulls};

/// Generates profiles and writes.
pub(crate) struct Generator(pub Random);

/// A stored profile and a write of it.
pub(crate) struct Attempt {
    pub stored: Value,
    pub write: Write,
}

/// A write. In the body of a PUT the resourceVersion is still missing.
#[derive(Debug)]
pub(crate) struct Write {
    pub version: &'static str,
    pub is_status: bool,
    pub method: Method,
    pub body: Value,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Method {
    Put,
    Merge,
    Apply,
}

impl Generator {
    fn happens(&mut self, percent: usize) -> bool {
        self.0.below(100) < percent
    }

    fn of<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        self.0.one_of(values)
    }

    /// A random write of a profile, with one of these API versions.
    pub(crate) fn attempt(&mut self, name: &str, versions: &[&'static str]) -> Attempt {
        let stored = self.profile(name);
        let (version, is_status) = (*self.of(versions), self.happens(75));
        let method = *self.of(&[Method::Put, Method::Put, Method::Merge, Method::Merge, Method::Apply]);
        let mut changed = stored.clone();
        if is_status {
            self.change_status(&mut changed["status"]);
        } else {
            self.change_main(&mut changed);
        }
        let body = match method {
            Method::Put => changed,
            Method::Merge if is_status => json!({"status": merge_patch(&stored["status"], &changed["status"])}),
            Method::Merge => merge_patch(&stored, &changed),
            Method::Apply if is_status => json!({"status": changed["status"]}),
            Method::Apply => json!({"metadata": {"labels": changed["metadata"]["labels"]}, "spec": changed["spec"]}),
        };
        Attempt { stored, write: Write { version, is_status, method, body: without_nulls_of_apply(method, body) } }
    }

    fn profile(&mut self, name: &str) -> Value {
        let mut profile = json!({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1",
            "kind": "ClusterProfile",
            "metadata": {"name": name, "labels": {"example.com/a": "b"}},
            "spec": {"clusterManager": {"name": self.of(&["ocm", "ocm", "ocm", "no label value"])}},
            "status": self.status(),
        });
        if self.happens(60) {
            profile["metadata"]["labels"][MANAGER] = json!(self.of(&["ocm", "ocm", "another"]));
        }
        if self.happens(60) {
            profile["spec"]["displayName"] = json!(self.of(&["a", "b\u{7}"]));
        }
        profile
    }

    fn status(&mut self) -> Value {
        let mut status = json!({"version": {"kubernetes": "1.36.0"}});
        for (list, fields, most) in LISTS {
            if self.happens(if list == "conditions" { 90 } else { 40 }) {
                // Few or many mistakes.
                let wrong = *self.of(&[0, 0, 15, 40]);
                status[list] = (0..=self.0.below(most)).map(|_| self.item(fields, wrong)).collect();
            }
        }
        if self.happens(25) {
            // An unchanged mistake next to others passes, also with CRDs whose lists have keys.
            let stored = json!({"type": "Stored", "observedGeneration": self.0.below(3)});
            let conditions = &mut status["conditions"];
            match conditions.as_array_mut() {
                Some(conditions) => conditions.push(stored),
                None => *conditions = json!([stored]),
            }
        }
        status
    }

    /// An item of a list. Each field is missing or invalid with this probability in percent.
    fn item(&mut self, fields: Fields, wrong: usize) -> Value {
        let mut item = json!({});
        for (field, right, others) in fields {
            let values = if self.happens(wrong) { others() } else { right() };
            let value = self.of(&values);
            if !value.is_null() {
                item[*field] = value.clone();
            }
        }
        item
    }

    /// Makes few changes, so that most lists equal the stored ones.
    fn change_status(&mut self, status: &mut Value) {
        for _ in 0..=self.0.below(2) {
            match self.0.below(5) {
                0 => status["version"] = json!({"kubernetes": self.of(&["1.36.0", "1.37.0", ""])}),
                1 => {}
                _ => self.change_list(status),
            }
        }
    }

    fn change_list(&mut self, status: &mut Value) {
        // Conditions can have fixes.
        let (list, fields, _) = if self.happens(50) { LISTS[0] } else { *self.of(&LISTS) };
        let Some(items) = status[list].as_array_mut().filter(|items| !items.is_empty()) else {
            status[list] = json!([self.item(fields, 20)]);
            return;
        };
        let (index, field) = (self.0.below(items.len()), self.0.below(fields.len()));
        let (name, right, others) = fields[field];
        match self.0.below(6) {
            0 => items.push(self.item(fields, 20)),
            1 => drop(items.remove(index)),
            2 => items.reverse(),
            3 => drop(items[index].as_object_mut().expect("an item is an object").remove(name)),
            4 => items[index][name] = self.of(&right()).clone(),
            _ => items[index][name] = self.of(&others()).clone(),
        }
    }

    fn change_main(&mut self, profile: &mut Value) {
        match self.0.below(6) {
            0 => profile["spec"]["displayName"] = json!("another"),
            1 => profile["metadata"]["labels"]["example.com/a"] = json!("another"),
            2 => drop(profile["metadata"]["labels"].as_object_mut().expect("it has labels").remove(MANAGER)),
            3 => profile["metadata"]["labels"][MANAGER] = json!("ocm"),
            4 => profile["metadata"]["annotations"] = json!({"example.com/a": "b"}),
            _ => self.change_status(&mut profile["status"]),
        }
    }
}

/// Fields: name, valid values, and invalid ones, where null stands for a missing field.
type Fields = &'static [(&'static str, fn() -> Vec<Value>, fn() -> Vec<Value>)];

/// Lists: name, fields, and maximum length.
const LISTS: [(&str, Fields, usize); 4] = [
    ("conditions", CONDITION, 3),
    ("properties", PROPERTY, 3),
    ("accessProviders", PROVIDER, 2),
    ("credentialProviders", PROVIDER, 1),
];

const CONDITION: Fields = &[
    (
        "type",
        || vec![json!("ControlPlaneHealthy"), json!("Joined"), json!("Ready")],
        || vec![json!("no type!"), json!(""), Value::Null],
    ),
    ("status", || vec![json!("True"), json!("False")], || vec![json!("Yes"), json!(true), json!(false), Value::Null]),
    ("reason", || vec![json!("Probed")], || vec![Value::Null, Value::Null, json!(""), json!("no reason!")]),
    ("message", || vec![json!(""), json!("a")], || vec![Value::Null]),
    ("lastTransitionTime", || vec![json!("2026-01-01T00:00:00Z")], || vec![Value::Null, json!("yesterday")]),
    ("observedGeneration", || vec![Value::Null, json!(1)], || vec![json!(-1)]),
];

const PROPERTY: Fields = &[
    ("name", || vec![json!("a.example.com"), json!("b.example.com")], || vec![Value::Null, json!("")]),
    ("value", || vec![json!("a"), json!("b")], || vec![Value::Null, json!(""), json!(5)]),
    ("lastObservedTime", || vec![Value::Null, json!("2026-01-01T00:00:00Z")], || vec![json!("yesterday")]),
];

const PROVIDER: Fields = &[
    ("name", || vec![json!("a"), json!("b")], || vec![Value::Null]),
    (
        "cluster",
        || vec![json!({"server": "https://a.example.com"})],
        || vec![json!({}), json!({"server": 5}), Value::Null],
    ),
];

/// Server-side apply treats a null as a value.
fn without_nulls_of_apply(method: Method, mut body: Value) -> Value {
    if method == Method::Apply {
        without_nulls(&mut body);
    }
    body
}
