//! The `CustomResourceDefinition` of ClusterProfiles, made from Rust types: `v1alpha1`, which is stored, and `v1alpha2`.
//!
//! What it validates equals upstream's: `config/crd/bases` of kubernetes-sigs/cluster-inventory-api for `v1alpha1`, the
//! markers of its `apis/v1alpha2` for `v1alpha2`. These types describe objects that a CRD accepted; the webhook reads
//! objects that no CRD has accepted yet, through [`crate::profile`].

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use kube::{CustomResourceExt, core::crd::merge_crds};
use serde_json::Value;

pub use self::status::{ClusterVersion, Condition, ConditionStatus, Property};

mod status;
pub mod v1alpha1;
pub mod v1alpha2;

/// The definition `clusterprofiles.multicluster.x-k8s.io` with both versions served.
///
/// The group needs no `api-approved.kubernetes.io` annotation: the API server protects `k8s.io` and `kubernetes.io` with
/// their subdomains, and `x-k8s.io` is neither.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "it has no input: it panics in the first test or never")]
pub fn crd() -> CustomResourceDefinition {
    serde_json::from_value(document()).expect("a settled definition is still a definition")
}

/// [`crd`] as YAML: keys in alphabetical order, one document, always the same bytes.
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

/// Takes out what the derive says and upstream does not.
///
/// An `Option` becomes `nullable`, which would make the API server keep nulls that it drops today; numbers become
/// floating point; lists of short names, categories and columns are written even when they are empty; the lines of a
/// doc comment stay lines.
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
