use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::{
    admission::respond,
    crd,
    review::{
        Effect, Phase, Policy,
        crd_in_force::{CrdError, CrdInForce, FIELD_LIMIT},
    },
    rules::find,
};

const GOOD: &str = "2026-01-01T00:00:00Z";

fn definition() -> Json {
    serde_json::to_value(crd::crd()).expect("a definition is JSON")
}

fn bundled() -> Json {
    let yaml = include_str!("../../../tests/data/crd-bundled-with-ocm.yaml");
    serde_saphyr::from_str(yaml).expect("it is YAML")
}

/// What /mutate warns of.
fn warnings(
    definition: Json,
    version: &str,
    part: &str,
    object: &Json,
    old: Option<&Json>,
    policy: Policy,
) -> Vec<String> {
    let mut policy = policy;
    policy.set_crd(Some(CrdInForce::read(definition).expect("it is a definition").into()));
    let whole = |fields: &Json| {
        let mut object = json!({
            "apiVersion": format!("multicluster.x-k8s.io/{version}"),
            "kind": "ClusterProfile",
            "metadata": {"name": "a", "namespace": "b", "labels": {"x-k8s.io/cluster-manager": "ocm"}},
            "spec": {"displayName": "a", "clusterManager": {"name": "ocm"}},
        });
        json_patch::merge(&mut object, fields);
        object
    };
    let kind = json!({"group": "multicluster.x-k8s.io", "version": version, "kind": "ClusterProfile"});
    let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u", "kind": kind, "requestKind": kind,
        "resource": {"group": "multicluster.x-k8s.io", "version": version, "resource": "clusterprofiles"},
        "subResource": part, "name": "a", "namespace": "b",
        "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
        "object": whole(object), "oldObject": old.map(whole),
    }});
    let now: Timestamp = GOOD.parse().expect("it is a time");
    let answer = respond(review.to_string().as_bytes(), Phase::Mutate, &policy, now).expect("it is a review");
    let answer: Json = serde_json::from_slice(&answer.body).expect("it is JSON");
    assert_eq!(answer["response"]["allowed"], true, "/mutate never denies");
    let warnings = answer["response"]["warnings"].as_array().into_iter().flatten();
    warnings.map(|text| text.as_str().expect("it is text").to_owned()).collect()
}

fn of_status(definition: Json, version: &str, status: &Json) -> Vec<String> {
    warnings(definition, version, "status", &json!({"status": status}), Some(&json!({})), Policy::default())
}

/// Each status also has a property name that no schema refuses: /mutate warns about that name exactly where the schema refuses
/// the rest.
#[test]
fn a_finding_is_foreseen_where_the_schema_refuses_it() {
    let condition = |fields: Json| {
        let mut condition =
            json!({"type": "A", "status": "True", "reason": "A", "message": "", "lastTransitionTime": GOOD});
        json_patch::merge(&mut condition, &fields);
        json!({"conditions": [condition]})
    };
    let property = |name: &str, value: Json| json!({"name": name, "value": value});
    let other = || property("no name!", json!("x"));
    let provider = |cluster: Json| json!({"accessProviders": [{"name": "a", "cluster": cluster}]});
    let many = |length| json!("a".repeat(length));
    // The status, and whether own v1alpha1, own v1alpha2 and the bundled definition refuse it.
    let cases = [
        (json!({"properties": [property("a", json!(""))]}), [true, true, true]),
        (json!({"properties": [property("a", json!(5))]}), [true, true, true]),
        (json!({"properties": [property("a", many(1025))]}), [true, true, true]),
        (json!({"properties": [{"name": "a"}]}), [true, true, true]),
        (json!({"properties": [property("", json!("x"))]}), [true, true, true]),
        (json!({"properties": [property("a b", json!("x"))]}), [false, false, false]),
        (json!({"properties": [property("a", json!("x")), property("a", json!("x"))]}), [true, true, false]),
        (json!({"properties": [{"name": "a", "value": "x", "lastObservedTime": "yesterday"}]}), [true, true, true]),
        (
            json!({"properties": [{"name": "a", "value": "x", "lastObservedTime": "2025-01-01T00:00:00+25:00"}]}),
            [false; 3],
        ),
        (json!({"properties": [{"name": "a", "value": "x", "lastObservedTime": "2036-01-01T00:00:00Z"}]}), [false; 3]),
        (condition(json!({"status": "Yes"})), [true, true, true]),
        (condition(json!({"reason": "no reason!"})), [true, true, true]),
        (condition(json!({"type": "no type!"})), [true, true, true]),
        (condition(json!({"type": "joined"})), [false, false, false]),
        (condition(json!({"observedGeneration": -1})), [true, true, true]),
        (condition(json!({"observedGeneration": "1"})), [true, true, true]),
        (condition(json!({"message": many(32_769)})), [true, true, true]),
        // Filled in.
        (condition(json!({"reason": null, "message": null})), [false, false, false]),
        (json!({"version": 5}), [true, true, true]),
        (json!({"conditions": {}}), [true, true, true]),
        (provider(json!({})), [true, true, true]),
        (provider(json!({"server": 5})), [true, true, true]),
        (provider(json!({"server": "a"})), [false, true, false]),
        (provider(json!({"server": "ftp://a"})), [false, false, false]),
        (provider(json!({"server": "http://a"})), [false, false, false]),
        (provider(json!({"server": "https://a", "proxy-url": "ftp://a"})), [false, true, false]),
        (provider(json!({"server": "https://a", "certificate-authority-data": "?"})), [true, true, true]),
        (provider(json!({"server": "https://a", "tls-server-name": many(254)})), [false, true, false]),
        (provider(json!({"server": "https://a", "extensions": [{"name": "e", "extension": "x"}]})), [true, true, true]),
        (provider(json!({"server": "https://a", "extensions": [{"name": "", "extension": {}}]})), [false, true, false]),
        (json!({"accessProviders": [{"name": "a"}]}), [false, true, false]),
        (json!({"accessProviders": [{"cluster": {"server": "https://a"}}]}), [true, true, true]),
    ];
    for (mut status, refused) in cases {
        let properties = status.as_object_mut().expect("it is one").entry("properties").or_insert(json!([]));
        properties.as_array_mut().expect("it is a list").push(other());
        let definitions = [(definition(), "v1alpha1"), (definition(), "v1alpha2"), (bundled(), "v1alpha1")];
        for ((definition, version), refused) in definitions.into_iter().zip(refused) {
            let warned = of_status(definition, version, &status);
            let is_foreseen = warned.iter().any(|text| text.contains("[property-name]"));
            assert_eq!(is_foreseen, refused, "{version}: {status} {warned:#?}");
        }
    }
}

#[test]
fn warnings_about_the_main_resource_leave_out_a_dropped_status() {
    let object = json!({
        "metadata": {"labels": {"x-k8s.io/cluster-manager": "another"}},
        "spec": {"displayName": 5},
        "status": {"properties": [{"name": "a", "value": ""}]},
    });
    let fields = |definition: Json| {
        let warnings = warnings(definition, "v1alpha1", "", &object, None, Policy::default());
        warnings.iter().map(|text| text.split(": ").next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let [label, name] = ["metadata.labels[x-k8s.io/cluster-manager]", "spec.displayName"];
    assert_eq!(fields(definition()), [name, label, "status"]);
    // Without a status subresource the status is written with the rest.
    let mut whole = definition();
    for version in whole["spec"]["versions"].as_array_mut().expect("it is a list") {
        version.as_object_mut().expect("it is one").remove("subresources");
    }
    assert_eq!(fields(whole), [name, label, "status", "status.properties[0].value"]);
}

#[test]
fn a_manager_that_moves_is_refused_where_the_crd_says_so() {
    let moved = json!({"spec": {"clusterManager": {"name": "another"}}});
    let count = |definition| warnings(definition, "v1alpha1", "", &moved, Some(&json!({})), Policy::default()).len();
    assert_eq!(count(definition()), 2, "the name and the label");
    let mut movable = definition();
    let manager = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/clusterManager";
    let manager = movable.pointer_mut(manager).and_then(Json::as_object_mut).expect("it is there");
    manager.remove("x-kubernetes-validations");
    assert_eq!(count(movable), 0);
}

/// A warning about a refusal has the form of a denial; one about what would pass has not, nor notes of what lets it pass.
#[test]
fn foreseen_denials_read_as_denials() {
    let status = json!({"version": {"kubernetes": "latest"}, "properties": [{"name": "a b", "value": ""}]});
    let stored = json!({"status": {"properties": [{"name": "a b", "value": "x"}]}});
    let mut audit = Policy::default();
    audit.set_audit(true);
    let warned = warnings(definition(), "v1alpha1", "status", &json!({"status": status}), Some(&stored), audit);
    let beginnings = [
        "status.properties[0].name: Invalid value: \"a b\": may contain only",
        "status.properties[0].value: Required value: must have",
        "status.version.kubernetes: \"latest\" is not",
    ];
    assert_eq!(warned.len(), beginnings.len(), "{warned:#?}");
    for (text, beginning) in warned.iter().zip(beginnings) {
        assert!(text.starts_with(beginning) && !text.contains("; already") && !text.contains("audit"), "{text}");
    }
    let blocks = |policy: Policy| {
        let warned = warnings(definition(), "v1alpha1", "status", &json!({"status": status}), Some(&stored), policy);
        warned.iter().map(|text| text.contains("; also blocks the write [")).collect::<Vec<_>>()
    };
    assert_eq!(blocks(Policy::default()), [false, true, false], "a stored problem and a warning do not");
    let mut strict = Policy::default();
    strict.set(find("kubernetes-version").expect("it is a rule"), Effect::Deny);
    assert_eq!(blocks(strict), [false, true, true]);
    let mut audit = Policy::default();
    audit.set_audit(true);
    assert_eq!(blocks(audit), [false; 3]);
}

/// The schema refuses a write whatever the configuration of the webhook is.
#[test]
fn overrides_and_audit_do_not_change_what_is_foreseen() {
    let status = json!({"status": {"properties": [{"name": "a b", "value": ""}]}});
    let count = |policy| warnings(definition(), "v1alpha1", "status", &status, Some(&json!({})), policy).len();
    let value = find("property-value").expect("it is a rule");
    let [mut audit, mut warned, mut off] = [(); 3].map(|()| Policy::default());
    audit.set_audit(true);
    warned.set(value, Effect::Warn);
    off.set(value, Effect::Off);
    assert_eq!([audit, warned, off, Policy::default()].map(count), [2, 2, 0, 2]);
}

/// Findings past the limit are only counted, and a fix takes back its finding in either case.
#[test]
fn what_is_filled_in_is_not_foreseen() {
    let condition = |kind| json!({"type": kind, "status": "True", "reason": "A", "lastTransitionTime": GOOD});
    let status = |conditions: usize, value: &str| {
        let conditions: Vec<_> = (0..conditions).map(|number| condition(format!("A{number}"))).collect();
        json!({"conditions": conditions, "properties": [{"name": "a", "value": value}]})
    };
    let warned = of_status(definition(), "v1alpha1", &status(300, ""));
    assert_eq!(warned.len(), 1, "{warned:#?}");
    assert!(warned.iter().all(|text| text.contains("[property-value]")), "{warned:#?}");
    assert_eq!(of_status(definition(), "v1alpha1", &status(300, "x")), [""; 0]);
    // More than the limit of fixes: none is made, so the schema refuses them.
    let warned = of_status(definition(), "v1alpha1", &status(600, "x"));
    assert!(warned.iter().any(|text| text.contains("[condition-message]")), "{warned:#?}");
}

#[test]
fn an_invalid_or_too_large_definition_is_not_used() {
    assert!(matches!(CrdInForce::read(json!({"spec": {"versions": 5}})), Err(CrdError::Unreadable(_))));
    let mut large = definition();
    let schema = large.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties").expect("it is there");
    for number in 0..FIELD_LIMIT {
        schema[format!("field{number}")] = json!({"type": "string"});
    }
    assert!(matches!(CrdInForce::read(large), Err(CrdError::TooLarge)));
    let mut unserved = definition();
    unserved["spec"]["versions"][0]["served"] = json!(false);
    assert_eq!(of_status(unserved, "v1alpha1", &json!({"properties": [{"name": "a", "value": ""}]})), [""; 0]);
}
