//! One review each, as the API server would send it.

use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
use serde_json::{Value, json};

use super::{ANNOTATION, BreakGlass, Permission};
use crate::{
    admission::{Response, respond},
    review::{Phase, Policy},
};

const PATH: &str = "metadata.annotations[clusterprofile-webhook.internal/break-glass]";

/// A profile that `cluster-manager-label` and `inventory-member-id` deny.
fn profile(annotation: &Value) -> Value {
    json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {
            "name": "spoke-1",
            "resourceVersion": "7",
            "labels": {"x-k8s.io/cluster-manager": "kueue", "multicluster.x-k8s.io/inventory-member-id": ""},
            "annotations": {"another": "b", ANNOTATION: annotation},
        },
        "spec": {"displayName": "a", "clusterManager": {"name": "ocm"}},
    })
}

fn stored(annotation: &Value) -> Value {
    let mut stored = profile(annotation);
    stored["metadata"]["labels"] = json!({"x-k8s.io/cluster-manager": "ocm"});
    stored
}

fn review(object: &Value, old_object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "kind": {"group": "multicluster.x-k8s.io", "version": "v1alpha1", "kind": "ClusterProfile"},
            "operation": if old_object.is_null() { "CREATE" } else { "UPDATE" },
            "namespace": "fleet-system",
            "name": "spoke-1",
            "userInfo": {"username": "alice", "uid": "u", "groups": ["a", "b"], "extra": {"scopes": ["c"]}},
            "object": object,
            "oldObject": old_object,
        },
    })
}

fn update(annotation: &Value) -> Value {
    review(&profile(annotation), &stored(&Value::Null))
}

fn create(annotation: &Value) -> Value {
    review(&profile(annotation), &Value::Null)
}

fn answer(review: &Value) -> Response {
    let mut policy = Policy::default();
    policy.set_break_glass(true);
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    respond(review.to_string().as_bytes(), Phase::Validate, &policy, now).unwrap()
}

fn body(response: &Response) -> Value {
    serde_json::from_slice::<Value>(&response.body).unwrap()["response"].take()
}

/// The text of the cause about the annotation, the last of three.
fn claim_cause(response: &Response) -> String {
    let body = body(response);
    assert_eq!(body["allowed"], false);
    let causes = body["status"]["details"]["causes"].as_array().unwrap();
    assert_eq!((causes.len(), &causes[2]["field"]), (3, &json!(PATH)), "{causes:#?}");
    causes[2]["message"].as_str().unwrap().to_owned()
}

fn assert_that_nothing_is_claimed(response: &Response) {
    let body = body(response);
    assert!(response.claim.is_none() && response.break_glass.is_none());
    assert!(!body.to_string().contains("break-glass"), "{body:#}");
}

#[test]
fn a_claim_checks_the_permission_of_the_user_in_the_review() {
    for claimed in [create(&json!("create")), update(&json!("7"))] {
        let question = answer(&claimed).claim.unwrap().question;
        let expected: SubjectAccessReviewSpec = serde_json::from_value(json!({
            "user": "alice",
            "uid": "u",
            "groups": ["a", "b"],
            "extra": {"scopes": ["c"]},
            "resourceAttributes": {
                "group": "multicluster.x-k8s.io",
                "resource": "clusterprofiles",
                "namespace": "fleet-system",
                "name": "spoke-1",
                "verb": "break-glass",
            },
        }))
        .unwrap();
        assert_eq!(question, expected);
    }
}

#[test]
fn an_honoured_claim_turns_denials_into_warnings() {
    let honoured = answer(&update(&json!("7"))).settled(Permission::Allowed);
    assert_eq!((honoured.allowed, honoured.break_glass), (true, Some(BreakGlass::Honoured)));
    assert_eq!(honoured.rules, ["cluster-manager-label", "inventory-member-id"]);
    let body = body(&honoured);
    assert_eq!((&body["uid"], &body["allowed"], &body["status"]), (&json!("1"), &json!(true), &Value::Null));
    let annotations = json!({
        "break-glass": "honored",
        "rules": "cluster-manager-label,inventory-member-id",
        "set-aside": "cluster-manager-label,inventory-member-id",
    });
    assert_eq!(body["auditAnnotations"], annotations);
    let warnings = body["warnings"].as_array().unwrap();
    let rules = "cluster-manager-label, inventory-member-id";
    assert_eq!(warnings[0], format!("{PATH}: these rules only warn for this write: {rules} [clusterprofile-webhook]"));
    let set_aside = "; set aside by break-glass [inventory-member-id]";
    assert!(warnings.len() == 3 && warnings[2].as_str().unwrap().ends_with(set_aside), "{warnings:#?}");
}

#[test]
fn a_forbidden_claim_names_the_missing_right() {
    let refused = answer(&update(&json!("7"))).settled(Permission::Forbidden);
    assert_eq!(
        claim_cause(&refused),
        "Forbidden: the user must have the verb \"break-glass\" on clusterprofiles.multicluster.x-k8s.io \"spoke-1\" in \
         namespace \"fleet-system\" to set rules aside; ask for the ClusterRole clusterprofile-break-glass \
         [clusterprofile-webhook]"
    );
    assert_eq!(refused.break_glass, Some(BreakGlass::Forbidden));
    assert_eq!(body(&refused)["auditAnnotations"]["break-glass"], "forbidden");
    assert_eq!(body(&refused)["auditAnnotations"]["set-aside"], Value::Null);
}

#[test]
fn without_an_answer_to_the_permission_check_the_denial_stays() {
    let unsettled = answer(&update(&json!("7")));
    let settled = unsettled.clone().settled(Permission::Unknown);
    assert!(settled.claim.is_none() && settled.body == unsettled.body);
    assert!(claim_cause(&settled).contains("could not check"), "{}", claim_cause(&settled));
    assert_eq!(settled.break_glass, Some(BreakGlass::Unchecked));
}

#[test]
fn an_unreadable_user_is_not_checked() {
    let users = [
        Value::Null,
        json!({}),
        json!({"username": ""}),
        json!({"username": 1}),
        json!({"username": "alice", "groups": "a"}),
        json!({"username": "alice", "extra": {"a": "b"}}),
        json!("alice"),
        json!({"username": "alice", "groups": vec!["a"; 10_000]}),
    ];
    for user in users {
        let mut review = update(&json!("7"));
        review["request"]["userInfo"] = user.clone();
        let denied = answer(&review);
        assert!(denied.claim.is_none() && denied.break_glass == Some(BreakGlass::Unchecked), "{user}");
    }
    let mut review = update(&json!("7"));
    review["request"]["name"] = json!("a".repeat(100_000));
    assert!(answer(&review).claim.is_none());
}

#[test]
fn a_value_for_another_write_is_denied_with_the_right_value() {
    let end = "for this write to set rules aside [clusterprofile-webhook]";
    let stored_version = format!(r#"must be "7", the stored resourceVersion, {end}"#);
    let wrong = [
        (update(&json!("6")), format!("Invalid value: \"6\": {stored_version}")),
        (update(&json!("07")), format!("Invalid value: \"07\": {stored_version}")),
        (update(&json!("create")), format!("Invalid value: \"create\": {stored_version}")),
        (update(&json!("")), format!("Invalid value: \"\": {stored_version}")),
        (update(&json!(7)), format!("Invalid value: 7: {stored_version}")),
        (update(&json!(["7"])), format!("Invalid value: array: {stored_version}")),
        (create(&json!("7")), format!(r#"Invalid value: "7": must be "create" {end}"#)),
    ];
    for (review, expected) in wrong {
        let denied = answer(&review);
        assert_eq!(claim_cause(&denied), expected);
        assert!(denied.claim.is_none() && denied.break_glass == Some(BreakGlass::WrongValue));
    }
    let token =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
    let cause = claim_cause(&answer(&update(&json!(token))));
    assert_eq!(cause, format!("Invalid value: \"…\": {stored_version}"));
}

#[test]
fn without_a_stored_version_no_value_is_right() {
    for version in [Value::Null, json!(""), json!(7)] {
        for value in ["", "create", "7"] {
            let mut review = update(&json!(value));
            review["request"]["oldObject"]["metadata"]["resourceVersion"] = version.clone();
            let denied = answer(&review);
            assert_eq!(denied.break_glass, Some(BreakGlass::WrongValue), "{version} {value}");
        }
    }
}

/// Otherwise a user who guesses the next resourceVersion could leave a claim for another who has the right.
#[test]
fn a_stored_annotation_claims_nothing() {
    for value in ["7", "6", "create"] {
        let value = json!(value);
        assert_that_nothing_is_claimed(&answer(&review(&profile(&value), &stored(&value))));
    }
    assert_that_nothing_is_claimed(&answer(&review(&profile(&Value::Null), &stored(&json!("7")))));
    let claimed = answer(&review(&profile(&json!("7")), &stored(&json!("6"))));
    assert!(claimed.claim.is_some());
}

#[test]
fn no_annotation_claims_nothing() {
    assert_that_nothing_is_claimed(&answer(&update(&Value::Null)));
    let mut review = create(&Value::Null);
    for metadata in [json!({"name": "a"}), json!({"name": "a", "annotations": null}), json!({"annotations": "a"})] {
        review["request"]["object"]["metadata"] = metadata;
        let denied = answer(&review);
        assert!(!denied.allowed && denied.claim.is_none() && denied.break_glass.is_none());
    }
}

#[test]
fn only_denials_of_the_main_resource_are_set_aside() {
    let good = review(&stored(&json!("create")), &Value::Null);
    let answered = answer(&good);
    assert!(answered.allowed && answered.claim.is_none() && answered.break_glass.is_none());

    let mut status = update(&json!("7"));
    status["request"]["subResource"] = json!("status");
    status["request"]["object"]["status"] = json!({"properties": [{"name": "", "value": "a"}]});
    assert_that_nothing_is_claimed(&answer(&status));

    let mut policy = Policy::default();
    policy.set_break_glass(true);
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    let unreadable = update(&json!("7")).to_string().replace("kueue", r"\ud800");
    let refused = respond(unreadable.as_bytes(), Phase::Validate, &policy, now).unwrap();
    assert!(!refused.allowed && refused.rules.is_empty());
    assert_that_nothing_is_claimed(&refused);

    let review = update(&json!("7")).to_string();
    let mutated = respond(review.as_bytes(), Phase::Mutate, &policy, now).unwrap();
    assert!(mutated.allowed && mutated.claim.is_none());
    let denied = respond(review.as_bytes(), Phase::Validate, &Policy::default(), now).unwrap();
    assert!(!denied.allowed);
    assert_that_nothing_is_claimed(&denied);
    policy.set_audit(true);
    let audited = respond(review.as_bytes(), Phase::Validate, &policy, now).unwrap();
    assert!(audited.allowed && audited.claim.is_none());
}

#[test]
fn the_check_names_the_generated_name() {
    let mut review = create(&json!("create"));
    review["request"]["object"]["metadata"]["generateName"] = json!("spoke-");
    review["request"]["name"] = json!("spoke-x7");
    let question = answer(&review).claim.unwrap().question;
    assert_eq!(question.resource_attributes.unwrap().name.as_deref(), Some("spoke-x7"));
}
