//! The `CustomResourceDefinition` of ClusterProfiles, generated from Rust types.
//!
//! It has `v1alpha1`, the storage version, and `v1alpha2`. Its validation equals that of upstream
//! (kubernetes-sigs/cluster-inventory-api): `config/crd/bases` for `v1alpha1`, and the markers of `apis/v1alpha2` for
//! `v1alpha2`.
//!
//! These types describe objects that a CRD has accepted. The webhook reads objects before the CRD validates them,
//! through [`crate::profile`].

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use kube::{CustomResourceExt, core::crd::merge_crds};
use serde_json::Value;

pub use self::status::{ClusterVersion, Condition, ConditionStatus, Property};

mod status;
pub mod v1alpha1;
pub mod v1alpha2;

/// Returns the definition `clusterprofiles.multicluster.x-k8s.io`, which serves both versions.
///
/// The group needs no `api-approved.kubernetes.io` annotation: the API server protects only `k8s.io`, `kubernetes.io`
/// and their subdomains, and `x-k8s.io` is neither.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "it has no input: it panics in the first test or never")]
pub fn crd() -> CustomResourceDefinition {
    serde_json::from_value(document()).expect("a settled definition is still a definition")
}

/// Returns [`crd`] as one YAML document with sorted keys. The bytes are always the same.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "it has no input: it panics in the first test or never")]
pub fn yaml() -> String {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 110 };
    serde_saphyr::to_string_with_options(&document(), options).expect("JSON is YAML")
}

fn document() -> Value {
    let versions = vec![v1alpha1::ClusterProfile::crd(), v1alpha2::ClusterProfile::crd()];
    let mut merged = merge_crds(versions, "v1alpha1").expect("both versions have one group, kind and scope");
    merged.spec.names.list_kind = Some("ClusterProfileList".to_owned());
    for version in &mut merged.spec.versions {
        if let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            root.title = None;
            let of_type = |name: &str| JSONSchemaProps { type_: Some(name.to_owned()), ..JSONSchemaProps::default() };
            let envelope = [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")];
            let properties = root.properties.get_or_insert_default();
            properties.extend(envelope.map(|(name, kind)| (name.to_owned(), of_type(kind))));
        }
    }
    let mut document = serde_json::to_value(merged).expect("a definition is JSON");
    settle(&mut document);
    document
}

/// Removes the differences between the derived definition and upstream's.
///
/// The derive marks an `Option` as `nullable`, which makes the API server keep nulls that it drops otherwise. It writes
/// numbers as floating point, and empty lists of short names, categories and columns. It keeps the line breaks of a doc
/// comment.
fn settle(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, field| {
                let nullable = key == "nullable" && field.is_boolean();
                !nullable && !field.as_array().is_some_and(Vec::is_empty)
            });
            if let Some(Value::String(description)) = fields.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            fields.values_mut().for_each(settle);
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
                #[expect(clippy::cast_possible_truncation, reason = "the bounds of a schema are small")]
                let whole = whole as i64;
                *number = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
