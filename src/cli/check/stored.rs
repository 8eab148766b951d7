//! The objects of which manifests are updates.

use std::collections::HashMap;

use clusterprofile_webhook::manifest;
use serde_json::Value;

/// Stored objects by name, those of one name by namespace.
#[derive(Default)]
pub(super) struct Stored(HashMap<String, HashMap<String, Value>>);

impl Stored {
    /// Adds an object, in place of one of the same namespace and name.
    pub(super) fn add(&mut self, object: Value) {
        let [name, namespace] = ["name", "namespace"].map(|field| manifest::metadata(&object, field).into_owned());
        self.0.entry(name).or_default().insert(namespace, object);
    }

    /// The object of the manifest's namespace and name; the only one of its name where it has no namespace.
    ///
    /// kubectl gives such a manifest the namespace of its context, which only a cluster knows.
    pub(super) fn of(&self, manifest: &Value) -> Option<&Value> {
        let named = self.0.get(manifest::metadata(manifest, "name").as_ref())?;
        let namespace = manifest::metadata(manifest, "namespace");
        let is_only = namespace.is_empty() && named.len() == 1;
        named.get(namespace.as_ref()).or_else(|| named.values().next().filter(|_| is_only))
    }
}
