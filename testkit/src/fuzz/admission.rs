//! What must hold for the response to any body.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{
    admission::{BreakGlass, Permission, Response, respond},
    review::{Phase, Policy},
    rules,
};
use jiff::Timestamp;
use json_patch::{Patch, PatchOperation};
use serde_json::{Map, Value, json};

/// Reviews `body` in both phases and checks the responses: valid, the same each time, no denial by /mutate, a patch
/// that applies and is complete, an unchanged object that is never denied, a finalizer that can always be removed.
///
/// # Panics
///
/// Panics if one of these does not hold.
pub fn admission(body: &[u8]) {
    let mutated = ask(body, Phase::Mutate, false);
    let validated = ask(body, Phase::Validate, false);
    assert_eq!(mutated.is_some(), validated.is_some(), "the two phases disagree on whether there is a review");
    let (Some(mutated), Some(validated)) = (mutated, validated) else { return };

    assert!(mutated.allowed, "/mutate denied");
    assert_eq!(mutated.uid, validated.uid);
    let audited = ask(body, Phase::Validate, true).expect("audit reads the same bytes");
    let unreadable = response(&audited)["status"]["code"] == 400;
    assert!(audited.allowed || unreadable, "denied although everything is only audited");

    // The rest needs the parsed review, which serde_json reads only to a depth of 128.
    let Ok(review) = serde_json::from_slice::<Value>(body) else { return };
    assert_eq!(review["request"]["uid"], mutated.uid.as_str(), "the answer has another request's uid");
    // An object with a duplicate key is unreadable. Serialized again it has the key once, and is another request.
    if review["request"]["object"].is_object() && !unreadable {
        a_patch_applies_and_is_enough(&review, &mutated);
        what_is_stored_can_be_written_again(&review);
        a_finalizer_can_always_go(&review);
    }
}

/// The response, after a check that an API server accepts it. `None` if `body` is not a review.
fn ask(body: &[u8], phase: Phase, audit: bool) -> Option<Response> {
    let now = Timestamp::from_second(1_780_000_000).expect("2026 is in range");
    let mut policy = Policy::default();
    policy.set_audit(audit);
    policy.set_break_glass(true);
    let answer = respond(body, phase, &policy, now).ok()?;

    let again = respond(body, phase, &policy, now).expect("the same bytes are read the same way");
    assert_eq!(answer.body, again.body, "the same request got two answers");
    assert!(answer.rules.iter().all(|name| rules::find(name).is_some()), "unknown rule in {:?}", answer.rules);
    let wire = response(&answer);
    assert_eq!(wire["uid"], answer.uid.as_str());
    assert_eq!(wire["allowed"], answer.allowed);
    assert_eq!(wire["status"].is_object(), !answer.allowed, "a refusal without a status, or a status without one");
    assert!(phase == Phase::Mutate || wire.get("patch").is_none(), "/validate patches");
    warnings_arrive(&wire);
    if answer.claim.is_some() {
        a_claim_needs_the_permission(&answer);
    }
    Some(answer)
}

fn a_claim_needs_the_permission(denied: &Response) {
    assert!(!denied.allowed && denied.part == "main", "there is nothing to set aside");
    for (permission, allowed, outcome) in [
        (Permission::Allowed, true, BreakGlass::Honoured),
        (Permission::Forbidden, false, BreakGlass::Forbidden),
        (Permission::Unknown, false, BreakGlass::Unchecked),
    ] {
        let settled = denied.clone().settled(permission);
        assert_eq!((settled.allowed, settled.break_glass), (allowed, Some(outcome)));
        let wire = response(&settled);
        assert_eq!((&wire["allowed"], wire["status"].is_object()), (&json!(allowed), !allowed));
        warnings_arrive(&wire);
    }
}

fn response(answer: &Response) -> Value {
    let mut review: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(review["kind"], "AdmissionReview");
    review["response"].take()
}

/// The API server drops warnings with control characters, and truncates them to 4096 characters in all.
fn warnings_arrive(wire: &Value) {
    let warnings = wire["warnings"].as_array().map_or(&[][..], Vec::as_slice);
    let texts = warnings.iter().map(|warning| warning.as_str().expect("a warning is a string"));
    assert!(texts.clone().all(|text| !text.is_empty() && !text.contains(char::is_control)), "{warnings:?}");
    assert!(texts.map(|text| text.chars().count()).sum::<usize>() <= 4096, "too many warnings: {warnings:?}");
}

fn a_patch_applies_and_is_enough(review: &Value, mutated: &Response) {
    let Some(patch) = patch_of(mutated) else { return };
    let mut object = review["request"]["object"].clone();
    for operation in &patch.0 {
        let PatchOperation::Add(add) = operation else { panic!("a fix only adds: {operation:?}") };
        let before = object.pointer(add.path.as_str());
        let absent = before.is_none_or(|value| value.is_null() || value.is_boolean());
        assert!(absent, "{} was {before:?} and is changed", add.path);
        assert!(
            review["request"]["subResource"] != "status" || add.path.as_str().starts_with("/status/"),
            "{} is patched through the status subresource",
            add.path
        );
    }
    json_patch::patch(&mut object, &patch).expect("a patch applies to the object of its request");

    let mut patched = review.clone();
    patched["request"]["object"] = object;
    let again = ask(&bytes(&patched), Phase::Mutate, false).expect("a patched review is a review");
    let more = patch_of(&again);
    assert!(more.is_none(), "mutating again patches again: {more:?}");
}

fn patch_of(answer: &Response) -> Option<Patch> {
    let wire = response(answer);
    let Some(encoded) = wire.get("patch") else {
        assert!(wire.get("patchType").is_none());
        return None;
    };
    assert_eq!(wire["patchType"], "JSONPatch");
    let decoded = STANDARD.decode(encoded.as_str().expect("a patch is a string")).expect("a patch is base64");
    Some(serde_json::from_slice(&decoded).expect("a patch is JSON"))
}

fn what_is_stored_can_be_written_again(review: &Value) {
    let mut unchanged = review.clone();
    unchanged["request"]["operation"] = json!("UPDATE");
    unchanged["request"]["oldObject"] = unchanged["request"]["object"].clone();
    let answer = ask(&bytes(&unchanged), Phase::Validate, false).expect("it is still a review");
    assert!(answer.allowed, "an unchanged object is denied: {}", response(&answer)["status"]["message"]);
}

fn a_finalizer_can_always_go(review: &Value) {
    let mut deleted = review.clone();
    let metadata = &mut deleted["request"]["object"]["metadata"];
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    metadata["deletionTimestamp"] = json!("2026-05-28T20:26:40Z");
    metadata["finalizers"] = json!(["example.com/kept"]);
    deleted["request"]["operation"] = json!("UPDATE");
    deleted["request"]["oldObject"] = deleted["request"]["object"].clone();
    deleted["request"]["object"]["metadata"]["finalizers"] = json!([]);
    for phase in [Phase::Mutate, Phase::Validate] {
        let answer = ask(&bytes(&deleted), phase, false).expect("it is still a review");
        assert!(answer.allowed && answer.rules.is_empty(), "{phase} stops a deletion: {:?}", answer.rules);
        let wire = response(&answer);
        assert!(wire.get("patch").is_none() && wire.get("warnings").is_none(), "{phase} meddles: {wire}");
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a value is JSON")
}
