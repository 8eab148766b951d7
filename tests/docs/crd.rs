//! The printed CRD validates what upstream's does, and `manifests/crd` has the printed one.

#![expect(clippy::indexing_slicing, clippy::panic, reason = "a panic is how a test fails")]

use std::{collections::BTreeSet, env, fs};

use clusterprofile_webhook::crd;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

#[test]
fn validates_what_upstream_validates() {
    /// Upstream's rule for the manager's name requires Kubernetes 1.31. The case files show that both accept the same names.
    const LABEL_VALUE: [&str; 2] = [
        "'!format.labelValue().validate(self).hasValue()'",
        "self.matches('^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$')",
    ];
    let expected = include_str!("../data/crd-v1alpha1-and-v1alpha2.yaml").replace(LABEL_VALUE[0], LABEL_VALUE[1]);
    let expected: Value = serde_saphyr::from_str(&expected).expect("upstream's CRD is YAML");
    let printed: Value = serde_saphyr::from_str(&crd::yaml()).expect("the printed CRD is YAML");

    let mut differing = BTreeSet::new();
    compare(&without_prose(expected), &without_prose(printed), "", &mut differing);

    assert!(
        differing.is_empty(),
        "differs from upstream at:\n{}",
        differing.into_iter().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn every_field_is_described() {
    let definition = serde_json::to_value(crd::crd()).unwrap();
    for version in definition["spec"]["versions"].as_array().unwrap() {
        let root = &version["schema"]["openAPIV3Schema"]["properties"];
        for part in ["spec", "status"] {
            assert_described(&root[part], &format!("{} {part}", version["name"]));
        }
    }
}

#[test]
fn profiles_of_real_managers_are_read_and_written_unchanged() {
    let folder = testkit::root().join("tests/data/profiles");
    let mut seen = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let mut profile: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        drop_nulls(&mut profile);
        assert_eq!(round_trip(&profile), profile, "{}", path.display());
        seen += 1;
    }
    assert!(seen > 20, "only {seen} profiles in tests/data/profiles");
}

/// `UPDATE=1` writes the file instead, which is what `make generate` does.
#[test]
fn the_manifest_is_fresh() {
    let path = testkit::root().join("manifests/crd/clusterprofiles.yaml");
    if env::var_os("UPDATE").is_some() {
        let new = path.with_extension("yaml.new");
        fs::write(&new, crd::yaml()).unwrap();
        fs::rename(new, &path).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == crd::yaml(), "manifests/crd/clusterprofiles.yaml is not what `crd` prints: run `make generate`");
}

/// Collects the JSON Pointers at which two documents differ. Lists are compared in order, because users see the order
/// of versions and columns.
fn compare(expected: &Value, printed: &Value, pointer: &str, differing: &mut BTreeSet<String>) {
    match (expected, printed) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys()) {
                let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                compare(
                    left.get(key).unwrap_or(&Value::Null),
                    right.get(key).unwrap_or(&Value::Null),
                    &pointer,
                    differing,
                );
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(left, right, &format!("{pointer}/{index}"), differing);
            }
        }
        (left, right) if left == right => {}
        (left, right) => {
            differing.insert(format!("{pointer}: expected {left}, printed {right}"));
        }
    }
}

/// Removes the annotations of the generator and the descriptions of schemas, but not a property with the name
/// `description`.
fn without_prose(mut document: Value) -> Value {
    if let Some(metadata) = document["metadata"].as_object_mut() {
        metadata.remove("annotations");
    }
    strip(&mut document);
    document
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, field| key != "description" || !field.is_string());
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn round_trip(profile: &Value) -> Value {
    fn through<T: DeserializeOwned + Serialize>(profile: &Value) -> Value {
        let read = T::deserialize(profile).expect("a real profile is of its type");
        serde_json::to_value(read).expect("a profile is JSON")
    }
    match profile["apiVersion"].as_str() {
        Some("multicluster.x-k8s.io/v1alpha1") => through::<crd::v1alpha1::ClusterProfile>(profile),
        Some("multicluster.x-k8s.io/v1alpha2") => through::<crd::v1alpha2::ClusterProfile>(profile),
        other => panic!("{other:?} is no version of ClusterProfile"),
    }
}

/// Removes nulls, as the API server does before it stores an object whose CRD has nothing `nullable`.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn assert_described(schema: &Value, at: &str) {
    let description = schema["description"].as_str().unwrap_or_default();
    assert!(!description.is_empty() && !description.contains('\n'), "{at}: {description:?}");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        assert_described(property, &format!("{at}.{name}"));
    }
    for (name, property) in schema["items"]["properties"].as_object().into_iter().flatten() {
        assert_described(property, &format!("{at}[].{name}"));
    }
}
