//! Bodies that no API server sends. The response has the uid of the review, or it is HTTP 400 with one clear line.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on must end")]

use clusterprofile_webhook::{
    admission::{self, BadRequest},
    review::{Phase, Policy},
    server::Config,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::{client::Client, server::Server};

/// The response, or the line of HTTP 400.
type Outcome = Result<Value, String>;

/// The review in process and over HTTPS, whose results must be equal.
struct Ways(Server);

impl Ways {
    fn new() -> Self {
        Self(Server::start(Config::default()))
    }

    fn answer(&self, phase: Phase, body: &[u8]) -> Outcome {
        let read = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("an answer is JSON")["response"].clone();
        let answer = admission::respond(body, phase, &Policy::default(), Timestamp::now());
        let in_process = answer.map(|answer| read(&answer.body)).map_err(|error: BadRequest| error.to_string());
        let mut client = Client::connect(self.0.address, &self.0.ca).expect("the server takes connections");
        let answer = client.post(&format!("/{phase}?timeout=30s"), body).expect("the server answers");
        let served = match answer.status {
            200 => Ok(read(&answer.body)),
            400 => Err(answer.text().trim_end().to_owned()),
            other => unreachable!("HTTP {other}: {}", answer.text()),
        };
        assert_eq!(in_process, served);
        served
    }

    fn is_bad(&self, body: &[u8], cause: &str) {
        for phase in [Phase::Mutate, Phase::Validate] {
            let line = self.answer(phase, body).expect_err("it is no review");
            assert!(line.contains(cause) && line.lines().count() == 1, "{line:?} must say {cause:?}");
        }
    }

    /// Asserts that both responses have the uid, that /mutate allows, and that /validate denies with `rule`, or allows
    /// if there is none.
    fn is_reviewed(&self, body: &[u8], rule: Option<&str>) {
        let mutated = self.answer(Phase::Mutate, body).expect("it is a review");
        let validated = self.answer(Phase::Validate, body).expect("it is a review");
        assert_eq!((&mutated["uid"], &validated["uid"]), (&json!("u"), &json!("u")));
        assert_eq!((&mutated["allowed"], &validated["allowed"]), (&json!(true), &json!(rule.is_none())));
        if let Some(rule) = rule {
            let causes = validated["status"].to_string();
            assert!(causes.contains(rule), "{causes} must name {rule}");
        }
    }
}

fn review(object: &str) -> String {
    request(&format!(r#""operation":"CREATE","object":{object},"oldObject":null"#))
}

fn request(rest: &str) -> String {
    let kind = r#"{"group":"multicluster.x-k8s.io","version":"v1alpha1","kind":"ClusterProfile"}"#;
    format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","kind":{kind},{rest}}}}}"#
    )
}

fn profile(labels: &str, status: &str) -> String {
    review(&object(labels, status))
}

/// A review of a valid profile with an insertion.
fn object(labels: &str, status: &str) -> String {
    let spec = r#"{"displayName":"a","clusterManager":{"name":"ocm"}}"#;
    format!(r#"{{"metadata":{{"name":"a","labels":{labels}}},"spec":{spec},"status":{status}}}"#)
}

/// A write of the status subresource.
fn update(new: &str, old: &str) -> String {
    let objects = format!(r#""object":{},"oldObject":{}"#, object(LABELS, new), object(LABELS, old));
    request(&format!(r#""operation":"UPDATE","subResource":"status",{objects}"#))
}

const LABELS: &str = r#"{"x-k8s.io/cluster-manager":"ocm"}"#;

#[test]
fn a_body_that_is_not_a_review_gets_400() {
    let ways = Ways::new();
    ways.is_bad(b"", "must be the JSON of an AdmissionReview");
    ways.is_bad(b"hello", "must be the JSON of an AdmissionReview");
    ways.is_bad(&review("{}").as_bytes()[..50], "must be the JSON of an AdmissionReview");
    ways.is_bad(b"[]", "must be an AdmissionReview of admission.k8s.io/v1");
    ways.is_bad(b"null", "must be an AdmissionReview of admission.k8s.io/v1");
    ways.is_bad(br#"{"apiVersion":"v1","kind":"Pod"}"#, "must be an AdmissionReview of admission.k8s.io/v1");
    let v1beta1 = review("{}").replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    ways.is_bad(v1beta1.as_bytes(), "must be an AdmissionReview of admission.k8s.io/v1");
}

#[test]
fn a_review_without_required_fields_gets_400() {
    let ways = Ways::new();
    let bare = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#;
    ways.is_bad(bare.as_bytes(), "request must be an object");
    ways.is_bad(review("{}").replace(r#""uid":"u","#, "").as_bytes(), "request.uid must be");
    ways.is_bad(review("{}").replace(r#""uid":"u""#, r#""uid":5"#).as_bytes(), "request.uid must be");
    ways.is_bad(review("{}").replace(r#""uid":"u""#, r#""uid":"""#).as_bytes(), "request.uid must be");
    ways.is_bad(review("{}").replace("CREATE", "PATCH").as_bytes(), "request.operation must be");
    ways.is_bad(review("null").as_bytes(), "request.object must be an object");
    ways.is_bad(review("[]").as_bytes(), "request.object must be an object");
    ways.is_bad(review("{}").replace("CREATE", "UPDATE").as_bytes(), "request.oldObject must be an object");
}

/// A response that a client does not read stays in memory, so none may be as large as its request.
#[test]
fn no_response_repeats_text_that_is_too_long_for_an_api_server() {
    let ways = Ways::new();
    let long = "a".repeat(254);
    let uid = review("{}").replace(r#""uid":"u""#, &format!(r#""uid":"{long}""#));
    ways.is_bad(uid.as_bytes(), "request.uid must be a string of 1 to 253 bytes");
    let named = |name: &str| {
        review(&format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{"clusterManager":{{"name":"ocm"}}}}}}"#))
    };
    let patch =
        |name: &str| ways.answer(Phase::Mutate, named(name).as_bytes()).expect("it is a review")["patch"].to_string();
    assert_eq!(patch(&long).len(), patch("").len(), "it is no name");
    assert!(patch(&long[..253]).len() > 253, "that is one");
}

#[test]
fn nesting_does_not_overflow_the_stack() {
    let ways = Ways::new();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    ways.is_bad("[".repeat(2_000_000).as_bytes(), "must be the JSON of an AdmissionReview");
    ways.is_bad(nested(1_000_000).as_bytes(), "must be an AdmissionReview of admission.k8s.io/v1");
    let extension = format!(r#"{{"deep":{}}}"#, nested(1000));
    let cluster = format!(r#"{{"server":"https://a","extensions":[{{"name":"e","extension":{extension}}}]}}"#);
    let deep = profile(LABELS, &format!(r#"{{"accessProviders":[{{"name":"a","cluster":{cluster}}}]}}"#));
    ways.is_reviewed(deep.as_bytes(), None);
    ways.is_reviewed(profile(LABELS, &format!(r#"{{"unknown":{}}}"#, nested(100_000))).as_bytes(), None);
    ways.is_reviewed(
        profile(LABELS, &format!(r#"{{"conditions":{}}}"#, nested(100_000))).as_bytes(),
        Some("field-type"),
    );
}

#[test]
fn wrong_types_are_reported_at_their_fields() {
    let ways = Ways::new();
    ways.is_reviewed(profile(r#""x""#, "{}").as_bytes(), Some("field-type"));
    ways.is_reviewed(profile(LABELS, r#"{"conditions":{}}"#).as_bytes(), Some("field-type"));
    ways.is_reviewed(profile(LABELS, "5").as_bytes(), Some("field-type"));
    ways.is_reviewed(review("{}").as_bytes(), Some("cluster-manager-name"));
    let long = format!(r#"{{"x-k8s.io/cluster-manager":"ocm","{}":"x"}}"#, "k".repeat(1000));
    ways.is_reviewed(profile(&long, "{}").as_bytes(), None);
}

#[test]
fn unreadable_objects_are_denied_with_the_cause() {
    let ways = Ways::new();
    let duplicate = review(r#"{"spec":{},"spec":{}}"#);
    ways.is_reviewed(duplicate.as_bytes(), Some("request.object cannot be read: duplicate field `spec`"));
    let surrogate = review(r#"{"spec":{"displayName":"\ud800"}}"#);
    ways.is_reviewed(surrogate.as_bytes(), Some("request.object cannot be read"));
    let v1beta1 = duplicate.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    ways.is_bad(v1beta1.as_bytes(), "must be an AdmissionReview of admission.k8s.io/v1");
    let mut invalid = profile(LABELS, "{}").into_bytes();
    let position = invalid.iter().position(|byte| *byte == b'a').expect("there is an a") + 200;
    invalid[position] = 0xff;
    ways.is_bad(&invalid, "must be the JSON of an AdmissionReview");
}

#[test]
fn other_kinds_versions_and_subresources_pass_untouched() {
    let ways = Ways::new();
    let wrong = profile(r#"{"x-k8s.io/cluster-manager":"kueue"}"#, "{}");
    ways.is_reviewed(wrong.as_bytes(), Some("cluster-manager-label"));
    for (from, to) in [
        ("multicluster.x-k8s.io\"", "apps\""),
        (r#""kind":"ClusterProfile""#, r#""kind":"Deployment""#),
        ("v1alpha1", "v2"),
    ] {
        ways.is_reviewed(wrong.replace(from, to).as_bytes(), None);
    }
    ways.is_reviewed(wrong.replace(r#""operation""#, r#""subResource":"scale","operation""#).as_bytes(), None);
    ways.is_reviewed(wrong.replace("CREATE", "CONNECT").as_bytes(), None);
}

#[test]
fn reports_of_many_items_are_limited() {
    let ways = Ways::new();
    let many = |item: &str, count: usize| vec![item; count].join(",");
    let flood = profile(LABELS, &format!(r#"{{"conditions":[{}]}}"#, many("{}", 1_000_000)));
    let long = "status.conditions: Invalid value: array: the lists of a ClusterProfile must have at most 65536 items in all; \
                the last 934464 of this one are not checked [field-type]";
    ways.is_reviewed(flood.as_bytes(), Some(long));
    let most = profile(LABELS, &format!(r#"{{"conditions":[{}]}}"#, many("{}", 16_000)));
    let response = ways.answer(Phase::Validate, most.as_bytes()).expect("it is a review");
    let causes = response["status"]["details"]["causes"].as_array().expect("there are causes");
    assert_eq!(causes.len(), 5 * 100 + 1, "a hundred of each rule");
    assert_eq!(causes[500]["message"], "Too many: 79500 more findings [clusterprofile-webhook]");
    let reserved: Vec<_> = (0..500).map(|number| format!(r#"{{"name":"a{number}.k8s.io","value":"b"}}"#)).collect();
    let warned = profile(LABELS, &format!(r#"{{"properties":[{}]}}"#, reserved.join(",")));
    let response = ways.answer(Phase::Validate, warned.as_bytes()).expect("it is a review");
    let warnings: Vec<_> = response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(warnings.iter().map(|warning| warning.chars().count()).sum::<usize>() <= 4096);
    assert_eq!(
        warnings.last().copied(),
        Some(format!("{} more warnings are omitted [clusterprofile-webhook]", 500 - warnings.len() + 1).as_str())
    );
}

/// Two warnings for each of thousands of properties, and then a value that must never be stored.
#[test]
fn a_private_key_is_reported_behind_any_number_of_other_findings() {
    let ways = Ways::new();
    let status = |value: &str, skip: usize, secret: &str| {
        let item = |number| {
            format!(r#"{{"name":"a{number}.k8s.io","value":"{value}","lastObservedTime":"2999-01-01T00:00:00Z"}}"#)
        };
        let properties = (skip..5100).map(item).collect::<Vec<_>>().join(",");
        let extension = format!(r#"{{"name":"e","extension":{{"key":"{secret}"}}}}"#);
        let cluster = format!(r#"{{"server":"https://a","extensions":[{extension}]}}"#);
        format!(r#"{{"properties":[{properties}],"accessProviders":[{{"name":"a","cluster":{cluster}}}]}}"#)
    };
    let answer = |body: String| ways.answer(Phase::Validate, body.as_bytes()).expect("it is a review");
    let key = r"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----";
    for value in ["b", ""] {
        ways.is_reviewed(profile(LABELS, &status(value, 0, key)).as_bytes(), Some("[access-secret]"));

        let stored = status(value, 0, "x");
        let unchanged = answer(update(&stored, &stored));
        assert_eq!(unchanged["allowed"], json!(true), "what is stored can always be written again");
        let response = answer(update(&status(value, 1, key), &stored));
        assert_eq!(response["allowed"], json!(false));
        let causes = response["status"]["details"]["causes"].as_array().expect("there are causes");
        assert!(causes.len() == 1 && causes[0].to_string().contains("[access-secret]"), "{causes:?}");
    }
}

#[test]
fn the_read_part_of_a_list_that_is_too_long_is_reviewed() {
    let ways = Ways::new();
    let answer = |new: &str, old: &str| {
        let response = ways.answer(Phase::Validate, update(new, old).as_bytes()).expect("it is a review");
        let texts = [&response["status"]["details"]["causes"], &response["warnings"]].map(Value::to_string);
        (response["allowed"] == json!(true), texts[0].clone(), texts[1].clone())
    };
    let properties = |first: &str, count: usize| {
        let items = (1..count).map(|number| format!(r#"{{"name":"a{number}","value":"b"}}"#));
        let items: Vec<_> = [format!(r#"{{"name":"a","value":"{first}"}}"#)].into_iter().chain(items).collect();
        format!(r#"{{"properties":[{}]}}"#, items.join(","))
    };
    let past = |count: usize| format!("the last {count} of this one are not checked");
    // The item after the limit is the last one. In the stored list, other items precede it.
    let with_last = |last: &str, count: usize| properties("", count).replace("]}", &format!(",{last}]}}"));

    assert_eq!(answer(&properties("b", 65_536), "{}"), (true, "null".into(), "null".into()));
    let (allowed, causes, _) = answer(&properties("", 65_537), "{}");
    assert!(!allowed && causes.contains(&past(1)) && causes.contains("[property-value]"), "{causes}");

    let stored = with_last(r#"{"name":"..","value":""}"#, 70_000);
    let (allowed, causes, warnings) = answer(&stored, &stored);
    assert!(allowed && warnings.contains(&past(4465)), "{causes} {warnings}");
    for changed in [with_last(r#"{"name":"../..","value":""}"#, 70_000), properties("", 70_000), properties("", 69_000)]
    {
        let (allowed, causes, _) = answer(&changed, &stored);
        assert!(!allowed && causes.contains("are not checked [field-type]"), "{causes}");
        assert!(!causes.contains("[property-value]"), "{causes}");
    }
    let (allowed, causes, _) = answer(&properties("", 70_000), &properties("b", 70_000));
    assert!(!allowed && causes.contains("[property-value]") && !causes.contains("[field-type]"), "{causes}");
}
