//! The stored objects of `--old`.

use std::collections::HashMap;

use clusterprofile_webhook::manifest;
use serde_json::Value;

/// Stored objects by name, then by namespace.
#[derive(Default)]
pub(super) struct Stored(HashMap<String, HashMap<String, Value>>);

impl Stored {
    /// Adds an object. It replaces one with the same namespace and name.
    pub(super) fn add(&mut self, object: Value) {
        let [name, namespace] = ["name", "namespace"].map(|field| manifest::metadata(&object, field).into_owned());
        self.0.entry(name).or_default().insert(namespace, object);
    }

    /// The stored object with the namespace and name of the manifest. For a manifest without a namespace, the only one with its
    /// name.
    ///
    /// kubectl would use the namespace of its context, which is unknown here.
    pub(super) fn of(&self, manifest: &Value) -> Option<&Value> {
        let named = self.0.get(manifest::metadata(manifest, "name").as_ref())?;
        let namespace = manifest::metadata(manifest, "namespace");
        let is_only = namespace.is_empty() && named.len() == 1;
        named.get(namespace.as_ref()).or_else(|| named.values().next().filter(|_| is_only))
    }
}
